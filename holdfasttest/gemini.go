package holdfasttest

type gemini struct{ claude }
