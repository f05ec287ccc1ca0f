package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNationalFormsOfANumber(t *testing.T) {
	t.Parallel()
	for given, other := range map[Number]Number{
		"5511987654321": "551187654321", // Brazil, mobile with the ninth digit
		"551187654321":  "5511987654321",
		"551133334444":  "", // Brazil, land line
		"5511887654321": "", // eleven digits that do not begin with 9
		"5215512345678": "525512345678",
		"525512345678":  "5215512345678",
		"5491123456789": "541123456789",
		"541123456789":  "5491123456789",
		"4915112345678": "",
		"55":            "",
		"5":             "",
	} {
		want := []Number{given}
		if other != "" {
			want = append(want, other)
		}
		require.Equal(t, want, Forms(given), given)
	}
}

func TestTheBestOfTheAnswersAboutForms(t *testing.T) {
	t.Parallel()
	const asked, other Number = "5511987654321", "551187654321"
	in := func(form, canonical Number) Checked {
		return Checked{Number: form, Verdict: Registered, Canonical: canonical, LID: "1@lid"}
	}
	out := func(form Number) Checked { return Checked{Number: form, Verdict: NotRegistered} }
	silent := func(form Number) Checked { return Checked{Number: form, Verdict: Unknown} }
	for name, row := range map[string]struct {
		answers   []Checked
		verdict   Verdict
		canonical Number
	}{
		"the form that was asked for":          {[]Checked{in(asked, asked), out(other)}, Registered, asked},
		"the other form":                       {[]Checked{out(asked), in(other, other)}, Registered, other},
		"both name the other":                  {[]Checked{in(asked, other), in(other, other)}, Registered, other},
		"both name themselves":                 {[]Checked{in(asked, asked), in(other, other)}, Registered, asked},
		"none":                                 {[]Checked{out(asked), out(other)}, NotRegistered, ""},
		"one is missing":                       {[]Checked{out(asked), silent(other)}, Unknown, ""},
		"one is missing, the other registered": {[]Checked{silent(asked), in(other, other)}, Registered, other},
		"all are missing":                      {[]Checked{silent(asked), silent(other)}, Unknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := best(asked, row.answers)
			require.Equal(t, row.verdict, got.Verdict)
			require.Equal(t, row.canonical, got.Canonical)
			require.Equal(t, asked, got.Number)
		})
	}
}

func TestTheAllowanceForChecks(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	a := allowance{limits: CheckLimits{PerMinute: 4, PerHour: 6}}
	take := func(want, may int, again time.Duration) {
		t.Helper()
		got, at := a.take(now, want)
		require.Equal(t, may, got)
		if again > 0 {
			require.Equal(t, again, at.Sub(now))
		}
	}
	take(3, 3, 0)
	take(3, 1, 0)
	take(1, 0, time.Minute)
	now = now.Add(time.Minute)
	take(9, 2, 0)
	take(1, 0, 59*time.Minute) // the hour counts now
	now = now.Add(time.Hour)
	a.shrink(now)
	take(9, 2, 0)
	take(1, 0, time.Minute)
	for range 10 {
		a.shrink(now)
	}
	now = now.Add(time.Hour)
	take(9, 1, 0) // never less than one
	now = now.Add(shrinkMost * shrinkFor)
	take(9, 4, 0)

	free := allowance{}
	may, _ := free.take(now, 1000)
	require.Equal(t, 1000, may)
}
