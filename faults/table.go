package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// line is what is told as soon as a fault has been done.
func (r result) line() string {
	return fmt.Sprintf("── %s %s: %s (%s)", r.ID, r.Name, r.outcome(), r.Took.Round(100*time.Millisecond))
}

// outcome is how a fault ended, in words.
func (r result) outcome() string {
	notes := ""
	if len(r.Notes) > 0 {
		notes = ": " + strings.Join(r.Notes, "; ")
	}
	switch {
	case r.NotRun != "":
		return "not run: " + r.NotRun
	case r.Failure != "":
		return "FAILED: " + r.Failure + notes
	case r.Lost > 0 || r.Twice > 0:
		return "FAILED: work was lost or doubled" + notes
	default:
		return "ok" + notes
	}
}

// number is the number of a fault, to sort by.
func (r result) number() int {
	digits, _, _ := strings.Cut(strings.TrimPrefix(r.ID, "F"), "/")
	n, _ := strconv.Atoi(digits) // they are made that way
	return n
}

// printTable prints what was done and what came of it.
func printTable(w io.Writer, results []result) {
	slices.SortStableFunc(results, func(a, b result) int { return cmp.Or(a.number()-b.number(), strings.Compare(a.ID, b.ID)) })
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nfault\t\tcycles\taccepted\tdone\tlost\tshown twice\tback to serving\ttook\toutcome")
	for _, r := range results {
		outcome, _, _ := strings.Cut(r.outcome(), "\n")
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", r.ID, r.Name, r.Cycles, r.Accepted, r.Done, r.Lost, r.Twice,
			serving(r), r.Took.Round(100*time.Millisecond), outcome)
	}
	_ = table.Flush() // to standard output
}

// serving tells the median and the longest time from a start to the first answer.
func serving(r result) string {
	if r.Serving == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f s, at most %.2f s", r.Median.Seconds(), r.Serving.Seconds())
}
