// Package httpapi is the door: the four old endpoints under /ws, exactly as their callers know them, and the endpoints of
// operators. It reads requests, checks tokens, hands work on and writes answers. What the work means is known elsewhere.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// Options is what the API needs beside the things it serves.
type Options struct {
	Tokens      []string // what callers show; at least one
	Version     string
	Account     session.AccountID
	MetricsOpen bool // /metrics without a token, on a loopback listener
	Logger      *slog.Logger
	Now         func() time.Time
}

// tasks takes work. task.Lane does.
type tasks interface {
	Accept(ctx context.Context, w task.New) (task.Accepted, error)
}

// ledger shows tasks. The store does.
type ledger interface {
	Get(ctx context.Context, id task.ID) (task.Task, error)
	List(ctx context.Context, state task.State, before int64, max int) ([]task.Task, error)
}

// account is the session's side.
type account interface {
	Status() session.Status
	Pairing() session.PairingRound
	Pair(ctx context.Context) (session.PairingRound, error)
	ConfirmNumber(ctx context.Context) error
	NewMessageID() session.MessageID
}

// callbacks shows deliveries and makes dead ones due again. The store does.
type callbacks interface {
	Deliveries(ctx context.Context, state callback.State, before string, max int) ([]callback.Delivery, error)
	Attempts(ctx context.Context, id string) ([]callback.Attempt, error)
	Replay(ctx context.Context, id string, now time.Time) error
}

// urlPolicy refuses return URLs whose text shows that they lead where they must not. callback.Guard does.
type urlPolicy interface {
	CheckText(u *url.URL) error
}

// API serves HTTP.
type API struct {
	opts      Options
	log       *slog.Logger
	tokens    tokens
	tasks     tasks
	ledger    ledger
	account   account
	callbacks callbacks
	policy    urlPolicy
	metrics   http.Handler
	engine    *gin.Engine
	stopping  atomic.Bool
	logins    logins
	refusals  refusals
}

// The keys under which a request carries what later steps need.
const (
	keyToken   = "token"
	keyRequest = "request"
)

// New makes the API. There must be a token, and none may be empty. metrics may be nil: then there is no /metrics.
func New(opts Options, tasks tasks, ledger ledger, account account, callbacks callbacks, policy urlPolicy, metrics http.Handler) (*API, error) {
	if len(opts.Tokens) == 0 || slices.Contains(opts.Tokens, "") {
		return nil, errors.New("the HTTP door needs at least one token, and no empty one")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	gin.SetMode(gin.ReleaseMode)
	a := &API{
		opts: opts, log: opts.Logger, tokens: hashTokens(opts.Tokens), tasks: tasks, ledger: ledger, account: account,
		callbacks: callbacks, policy: policy, metrics: metrics, engine: gin.New(),
	}
	if err := a.engine.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	a.engine.UseRawPath, a.engine.UnescapePathValues = true, false // segments are unescaped here, once
	a.engine.RedirectTrailingSlash, a.engine.RedirectFixedPath = false, false
	a.engine.HandleMethodNotAllowed = true
	a.engine.Use(a.begin, a.recoverPanic, a.authorize)
	a.engine.NoRoute(func(c *gin.Context) { a.refuse(c, errNoPath) })
	a.engine.NoMethod(a.methodNotAllowed)
	a.route()
	return a, nil
}

// Handler returns what serves the requests.
func (a *API) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Gin falls back to the decoded path when there is no raw one, and would decode it twice.
		if r.URL.RawPath == "" {
			r.URL.RawPath = r.URL.EscapedPath()
		}
		a.engine.ServeHTTP(w, r)
	})
}

// Stop refuses new work from now on; what only looks is still answered.
func (a *API) Stop() { a.stopping.Store(true) }

func (a *API) route() {
	r := a.engine.Group("/", a.bounded)
	for name, read := range map[string]reader{
		"check": a.wsCheck, "message": a.wsMessage, "login": a.wsLogin, "logout": a.wsLogout,
	} {
		r.POST("/ws/"+name+"/*segments", a.ws(read))
		r.POST("/ws/"+name, func(c *gin.Context) { a.refuse(c, errReturnURLMissing) })
	}
	r.GET("/internal/ping", func(c *gin.Context) {
		c.Data(http.StatusOK, "text/html; charset=utf-8", []byte("<html><body>pong</body></html>"))
	})
	r.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, HealthAnswer{Status: "alive"}) })
	r.GET("/readyz", a.readyz)
	if a.metrics != nil {
		r.GET("/metrics", gin.WrapH(a.metrics))
	}
	r.GET("/v1/status", a.answer(a.status))
	r.GET("/v1/pairing", a.pairing)
	r.POST("/v1/pairing", a.work(a.pair))
	r.POST("/v1/pairing/confirm", a.work(a.confirm))
	r.GET("/v1/tasks", a.answer(a.listTasks))
	r.POST("/v1/tasks", a.acceptTask)
	r.GET("/v1/tasks/:id", a.answer(a.getTask))
	r.GET("/v1/callbacks", a.answer(a.listCallbacks))
	r.GET("/v1/callbacks/:id", a.answer(a.getCallback))
	r.POST("/v1/callbacks/:id/replay", a.work(a.replay))
}

// answer writes what a handler returns.
func (a *API) answer(handler func(*gin.Context) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		body, err := handler(c)
		if err != nil {
			a.refuse(c, err)
			return
		}
		c.JSON(http.StatusOK, body)
	}
}

// work is answer for what changes something: refused while stopping.
func (a *API) work(handler func(*gin.Context) (any, error)) gin.HandlerFunc {
	answer := a.answer(handler)
	return func(c *gin.Context) {
		if a.refusedWhileStopping(c) {
			return
		}
		answer(c)
	}
}

func (a *API) refusedWhileStopping(c *gin.Context) bool {
	if !a.stopping.Load() {
		return false
	}
	a.refuse(c, errStopping)
	return true
}
