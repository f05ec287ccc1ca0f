// Package httpapi is the door: the four old endpoints under /ws, exactly as their callers know them, and the endpoints of
// operators. It reads requests, checks tokens, hands work on and writes answers. What the work means is known elsewhere.
package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// Options is what the API needs beside the things it serves.
type Options struct {
	Tokens      []string // what callers show; at least one
	PerMinute   int      // tasks that one token may ask for in a minute; 0 is no limit
	Version     string
	Account     session.AccountID
	MetricsOpen bool          // /metrics without a token, on a loopback listener
	GuessDelay  time.Duration // how late wrong tokens are refused after many from one address; default 1 s
	Panicked    func()        // called for each request whose handler panicked
	Logger      *slog.Logger
	Now         func() time.Time
}

// tasks takes work. task.Lane does.
type tasks interface {
	Accept(ctx context.Context, w task.New) (task.Accepted, error)
	Earlier(ctx context.Context, w task.New) (task.Accepted, error)
}

// ledger shows tasks, and what is known of people. The store does.
type ledger interface {
	Get(ctx context.Context, id task.ID) (task.Task, error)
	List(ctx context.Context, state task.State, before int64, max int) ([]task.Task, error)
	Timeline(ctx context.Context, id task.ID) ([]task.Step, error)

	Contact(ctx context.Context, account, address string) (task.Contact, error)
	OptOut(ctx context.Context, account string, addresses []string, at time.Time) error
	OptIn(ctx context.Context, account, address string) error
	Activity(ctx context.Context, account string, since time.Time) (task.Activity, error)

	Writable(ctx context.Context) error // task.ErrFull when the disk is full
}

// account is the session's side.
type account interface {
	Status() session.Status
	Alive() bool
	Pairing() session.PairingRound
	Pair(ctx context.Context) (session.PairingRound, error)
	PairPhone(ctx context.Context, number session.Number) (session.PairingRound, error)
	AnswerPasskey(ctx context.Context, answer json.RawMessage) error
	ConfirmPasskey(ctx context.Context) error
	ConfirmNumber(ctx context.Context) error
	NewMessageID() session.MessageID
	HoldsToken(ctx context.Context, lid string) (bool, error)
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
	tokens    atomic.Pointer[tokens]
	guesses   guesses
	rates     *rates
	logins    logins
	tasks     tasks
	ledger    ledger
	account   account
	callbacks callbacks
	policy    urlPolicy
	metrics   http.Handler
	engine    *gin.Engine
	stopping  atomic.Bool
}

// The keys under which a request carries what later steps need.
const (
	keyToken   = "token"
	keyRequest = "request"
)

// New makes the API.
func New(opts Options, tasks tasks, ledger ledger, account account, callbacks callbacks, policy urlPolicy, metrics http.Handler) (*API, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Panicked == nil {
		opts.Panicked = func() {}
	}
	if opts.GuessDelay == 0 {
		opts.GuessDelay = time.Second
	}
	gin.SetMode(gin.ReleaseMode)
	a := &API{
		opts: opts, log: opts.Logger, tasks: tasks, ledger: ledger, account: account,
		callbacks: callbacks, policy: policy, metrics: metrics, engine: gin.New(), rates: newRates(opts.PerMinute),
	}
	a.SetTokens(opts.Tokens)
	if err := a.engine.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	a.engine.UseRawPath, a.engine.UnescapePathValues = true, false // segments are unescaped here, once
	a.engine.RedirectTrailingSlash, a.engine.RedirectFixedPath = false, false
	a.engine.HandleMethodNotAllowed = true
	a.engine.Use(a.begin, a.recoverPanic, a.authorize, a.limitBody)
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
	r := a.engine
	r.POST("/ws/check/*rest", a.ws(a.wsCheck))
	r.POST("/ws/message/*rest", a.ws(a.wsMessage))
	r.POST("/ws/login/*rest", a.ws(a.wsLogin))
	r.POST("/ws/logout/*rest", a.ws(a.wsLogout))
	for _, name := range []string{"check", "message", "login", "logout"} {
		r.POST("/ws/"+name, func(c *gin.Context) { a.refuse(c, errReturnURLMissing) })
	}
	r.GET("/internal/ping", func(c *gin.Context) {
		c.Data(http.StatusOK, "text/html; charset=utf-8", []byte("<html><body>pong</body></html>"))
	})
	r.GET("/healthz", a.healthz)
	r.GET("/readyz", a.readyz)
	r.GET("/metrics", gin.WrapH(a.metrics))
	r.GET("/v1/status", a.answer(a.status))
	r.GET("/v1/pairing", a.pairing)
	r.POST("/v1/pairing", a.work(a.pair))
	r.POST("/v1/pairing/confirm", a.work(a.confirm))
	r.POST("/v1/pairing/passkey", a.work(a.passkey))
	r.POST("/v1/pairing/passkey/confirm", a.work(a.confirmPasskey))
	r.GET("/v1/tasks", a.answer(a.listTasks))
	r.POST("/v1/tasks", a.acceptTask)
	r.GET("/v1/tasks/:id", a.answer(a.getTask))
	r.GET("/v1/contacts/:who", a.answer(a.contact))
	r.POST("/v1/optout/:who", a.work(a.optOut))
	r.DELETE("/v1/optout/:who", a.work(a.optIn))
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
	c.Header("Connection", "close")
	a.refuse(c, errStopping)
	return true
}

func (a *API) methodNotAllowed(c *gin.Context) {
	if inWS(c.Request.URL.RawPath) {
		a.refuse(c, notAllowed(c, http.MethodPost))
		return
	}
	a.refuse(c, errMethod) // Gin has set the header
}

// bodyMost bounds request bodies. The old endpoints have none.
const bodyMost = 1 << 20

// begin gives the request its id, sets the headers that every answer has, and logs the end. Paths and parameters are never
// logged: under /ws they hold numbers and messages.
func (a *API) begin(c *gin.Context) {
	begun := time.Now()
	id := c.GetHeader("X-Request-Id")
	if !sane(id) {
		id = uuid.NewString()
	}
	c.Set(keyRequest, id)
	header := c.Writer.Header()
	header.Set("X-Request-Id", id)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, bodyMost)
	if len(c.Request.TransferEncoding) > 0 || c.GetHeader("Expect") != "" {
		// A proxy in front may see another end of such a body: what it takes for a part of it must not become a request. And
		// nobody is to wait for a body that its sender holds back.
		header.Set("Connection", "close")
	}
	c.Next()
	level := slog.LevelInfo
	if a.open(c.Request.URL.RawPath) {
		level = slog.LevelDebug // health checks come every few seconds
	}
	a.log.Log(c.Request.Context(), level, "request",
		"method", method(c.Request.Method), "route", c.FullPath(), "status", c.Writer.Status(), "bytes", c.Writer.Size(),
		"took_ms", time.Since(begun).Milliseconds(), "request_id", id, "token_id", c.GetString(keyToken))
}

// limitBody refuses a body that says itself that it is too large, before any of it is read. Another one comes in like the rest of
// a long request; see [places].
func (a *API) limitBody(c *gin.Context) {
	if c.FullPath() == "" || c.Request.ContentLength <= bodyMost { // other paths and methods have their own answers
		c.Request.Body = body{c.Request.Body, c.Request.Context()}
		if inWS(c.Request.URL.RawPath) || c.Request.ContentLength == 0 {
			allHere(c.Request.Context())
		}
		return
	}
	c.Header("Connection", "close")
	a.refuse(c, errTooLarge)
	c.Abort()
}

// sane tells ids that can stand in a log from what somebody made up.
func sane(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, char := range id {
		ok := char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || char == '-' || char == '_'
		if !ok {
			return false
		}
	}
	return true
}

// method is the request's method, if it is one.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return name
	}
	return "other"
}

// recoverPanic answers a request whose handler panicked.
func (a *API) recoverPanic(c *gin.Context) {
	defer func() {
		if cause := recover(); cause != nil {
			a.log.Error("request panicked", "request_id", c.GetString(keyRequest), "route", c.FullPath(), "panic", cause, "stack", string(debug.Stack()))
			a.opts.Panicked()
			a.refuse(c, errInternal)
			c.Abort()
		}
	}()
	c.Next()
}
