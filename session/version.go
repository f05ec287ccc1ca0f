package session

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
)

// libraryPath is whatsmeow's module.
const libraryPath = "go.mau.fi/whatsmeow"

// LibraryDate returns the day of the protocol library's commit this program was built with, from its module version; zero
// when the build does not say.
func LibraryDate() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, module := range info.Deps {
		if module.Path == libraryPath {
			return commitDate(module.Version)
		}
	}
	return time.Time{}
}

// commitDate reads the time of a commit from a module version such as v0.0.0-20260821120000-33cfac510000.
func commitDate(version string) time.Time {
	parts := strings.Split(version, "-")
	if len(parts) < 3 {
		return time.Time{}
	}
	stamp := parts[len(parts)-2]
	at, _ := time.Parse("20060102150405", stamp[strings.LastIndex(stamp, ".")+1:]) // zero when it is none
	return at
}

// libraryAge says how old the protocol library is.
func libraryAge() string {
	text := fmt.Sprintf("it speaks version %s", store.GetWAVersion())
	if at := LibraryDate(); !at.IsZero() {
		text += ", its protocol library is of " + at.Format(time.DateOnly)
	}
	return text
}

// NoticeBehind and NoticeRolledBack are codes of a [Notice].
const (
	NoticeBehind     = "protocol_behind"
	NoticeRolledBack = "protocol_rolled_back"
)

const (
	versionPause = 24 * time.Hour      // between looks at the live version
	versionAgain = time.Hour           // after a look that failed
	libraryOld   = 60 * 24 * time.Hour // a library of this age that is behind is told of
)

// versions is what the owner knows of the protocol's versions: the revision that this library announces, and the one of
// WhatsApp's own web client.
type versions struct {
	due      time.Time // of the next look; zero while one runs
	own      uint32
	live     uint32 // 0 while not known
	used     uint32 // what is announced now
	warned   bool
	refused  bool // WhatsApp refused the live one: it is not used any more
	fetch    func(ctx context.Context) (uint32, error)
	announce func(revision uint32)
}

// newVersions looks at web.whatsapp.com, as a browser does before it logs in.
func (a *Account) newVersions(now time.Time) versions {
	own := store.GetWAVersion()
	return versions{
		due: now, own: own[2], used: own[2],
		fetch: func(ctx context.Context) (uint32, error) {
			ctx, cancel := context.WithTimeout(ctx, a.opts.Timing.Dial)
			defer cancel()
			way := a.dialer.transport.Clone()
			way.DisableKeepAlives = true // once a day
			live, err := whatsmeow.GetLatestVersion(ctx, &http.Client{Transport: way})
			if err != nil {
				return 0, err
			}
			return live[2], nil
		},
		announce: func(revision uint32) { store.SetWAVersion(store.WAVersionContainer{own[0], own[1], revision}) },
	}
}

// VersionBehind returns by how many revisions this library's version of the protocol is older than WhatsApp's own web client
// today; false while that is not known.
func (a *Account) VersionBehind() (int, bool) {
	behind := a.behind.Load()
	return int(max(0, behind)), behind >= 0
}

// watchVersion looks at the live version at the start and once a day.
func (o *owner) watchVersion(ctx context.Context, now time.Time) {
	if o.versions.due.IsZero() || now.Before(o.versions.due) {
		return
	}
	fetch := o.versions.fetch
	o.versions.due = time.Time{}
	o.a.work.start(func() {
		live, err := fetch(ctx)
		o.a.post(func(ctx context.Context, o *owner) { o.sawVersion(ctx, live, err) })
	})
}

// sawVersion takes the live version. A library that is behind and old is told of, once.
func (o *owner) sawVersion(ctx context.Context, live uint32, err error) {
	v := &o.versions
	v.due = o.now().Add(versionPause)
	if err != nil {
		v.due = o.now().Add(versionAgain)
		o.a.log.Debug("the live version of the protocol is not known", "error", redact(err.Error()))
		return
	}
	v.live = live
	behind := max(0, int64(live)-int64(v.own))
	o.a.behind.Store(behind)
	old := o.now().Sub(LibraryDate()) >= libraryOld
	if behind == 0 || v.warned || !old {
		return
	}
	v.warned = true
	o.notify(ctx, Notice{
		Code: NoticeBehind,
		Detail: fmt.Sprintf("WhatsApp's web client is %d revisions ahead; %s: install a newer version of this program before WhatsApp refuses this one",
			behind, libraryAge()),
	})
}

// announceVersion sets what the next connection announces: the live version where that is wanted, was seen and was not refused.
func (o *owner) announceVersion() {
	v := &o.versions
	wanted := v.own
	if o.a.opts.UseLiveVersion && v.live > v.own && !v.refused {
		wanted = v.live
	}
	if wanted != v.used {
		v.used = wanted
		v.announce(wanted)
	}
}

// rollBack goes back to the library's own version after WhatsApp refused another one. It returns false when there is nothing
// to go back to.
func (o *owner) rollBack(ctx context.Context) bool {
	v := &o.versions
	if v.used == v.own {
		return false
	}
	v.refused = true
	o.wait(CodeOutdated, "WhatsApp refused the live version of the protocol; the library's own is tried")
	o.disconnect(o.link)
	o.notify(ctx, Notice{
		Code:   NoticeRolledBack,
		Detail: "WhatsApp refused the live version of the protocol with this library; the library's own version is used again",
	})
	return true
}
