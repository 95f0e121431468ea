package holdfast_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
)

func TestStormRange(t *testing.T) {
	from, _ := strconv.ParseUint(os.Getenv("STORM_FROM"), 10, 64)
	to, _ := strconv.ParseUint(os.Getenv("STORM_TO"), 10, 64)
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newStorm(seed).pass(t) })
		})
	}
}
