package session

import "time"

// reconnectAfter returns how long to wait before a dial, after so many failures or short-lived connections in a row: not at
// all after none, then from min doubling up to max. Up to half of a pause is chance (random lies between 0 and 1), so that
// many daemons do not come back to a restarted server at once.
func reconnectAfter(failures int, random float64, least, most time.Duration) time.Duration {
	if failures <= 0 {
		return 0
	}
	base := doubled(least, failures-1, most*2/3)
	return base + time.Duration(random*float64(base)/2)
}

// nextRoundAfter returns the pause after so many unscanned pairing rounds in a row.
func nextRoundAfter(rounds int, first, most time.Duration) time.Duration {
	return doubled(first, max(0, rounds-1), most)
}

// doubled doubles a pause so many times, up to a limit.
func doubled(pause time.Duration, times int, most time.Duration) time.Duration {
	for range times {
		if pause >= most {
			break
		}
		pause *= 2
	}
	return min(pause, most)
}
