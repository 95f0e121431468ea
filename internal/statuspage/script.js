"use strict";
(() => {
	const every = 5000, patience = 10000;
	const pulse = document.getElementById("pulse"), pause = document.getElementById("pause");
	let timer = 0, busy = false, paused = false;

	// Makes one element like another, touching only what differs: selections, focus and open details stay.
	function morph(from, to) {
		if (from.nodeType != to.nodeType || from.nodeName != to.nodeName) return from.replaceWith(to.cloneNode(true));
		if (from.nodeType != Node.ELEMENT_NODE) {
			if (from.data != to.data) from.data = to.data;
			return;
		}
		if (from.hasAttribute("data-keep")) return;
		for (const { name } of [...from.attributes]) if (name != "open" && !to.hasAttribute(name)) from.removeAttribute(name);
		for (const { name, value } of to.attributes) if (from.getAttribute(name) != value) from.setAttribute(name, value);
		const old = [...from.childNodes], young = [...to.childNodes];
		old.slice(young.length).forEach(n => n.remove());
		young.forEach((n, i) => i < old.length ? morph(old[i], n) : from.append(n.cloneNode(true)));
	}

	async function refresh() {
		if (busy) return;
		clearTimeout(timer);
		busy = true;
		try {
			const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout?.(patience) });
			const next = new DOMParser().parseFromString(await answer.text(), "text/html");
			if (!answer.ok || !next.querySelector("main[data-holdfast]")) throw answer.status;
			for (const part of [".clock", "main"]) morph(document.querySelector(part), next.querySelector(part));
			document.title = next.title;
			tell("");
		} catch {
			tell("not updated: no answer");
		}
		busy = false;
		plan();
	}

	function plan() {
		clearTimeout(timer);
		if (!paused && !document.hidden) timer = setTimeout(refresh, every);
	}

	function tell(text) { if (pulse.textContent != text) pulse.textContent = text }

	pause.hidden = false;
	pause.addEventListener("click", () => {
		paused = !paused;
		pause.textContent = paused ? "Resume" : "Pause";
		paused ? plan() : refresh();
	});
	document.addEventListener("visibilitychange", () => paused || document.hidden ? plan() : refresh());
	plan();

	// Tells the figures of the interval that is pointed at, in both plots.
	const ms = n => n < 1000 ? n + "\u00a0ms" : (n / 1000).toFixed(n < 9995 ? 2 : 1) + "\u00a0s";
	function point(plots, x) {
		const all = plots.dataset.plot.split(" "), box = plots.querySelector(".drawing").getBoundingClientRect();
		const i = Math.floor((x - box.left) / box.width * all.length), at = i >= 0 && i < all.length;
		for (const c of plots.querySelectorAll(".cursor")) c.setAttribute("x", at ? i * 10 : -20);
		if (!at) return "";
		const since = new Date((+plots.dataset.start + i * plots.dataset.each) * 1000).toISOString().slice(11, 19);
		const [answered, failed, p50, p90, max] = all[i].split(",").map(Number);
		if (all[i] == "-") return since + ": no attempts";
		return since + ": " + answered + " answered, " + failed + " failed" +
			(p50 ? "; median " + ms(p50) + ", p90 " + ms(p90) + ", longest " + ms(max) : "");
	}
	for (const event of ["pointermove", "pointerdown", "pointerout"]) {
		document.addEventListener(event, e => {
			const plots = e.target.closest?.(".plots[data-plot]");
			if (!plots || event == "pointerout" && plots.contains(e.relatedTarget)) return;
			plots.querySelector(".pointed").textContent = point(plots, event == "pointerout" ? -1e6 : e.clientX);
		});
	}
})();
