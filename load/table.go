package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// printTable prints what was measured beside what the bare handler did and what is wanted.
func printTable(w io.Writer, rows []row) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nfigure\tmeasured\tbare handler\tgoal")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.figure, r.measured, cmp.Or(r.bare, "-"), r.goal)
	}
	_ = table.Flush() // to standard output
}

// beside is a figure of the bare handler, with how many times it the daemon's is.
func beside(bare string, daemons, bares float64) string {
	if bares == 0 {
		return bare
	}
	return fmt.Sprintf("%s (daemon: %.2f of it)", bare, daemons/bares)
}

// ms is a time in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

// mib is a size in MiB.
func mib(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }
