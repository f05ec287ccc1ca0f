package errcode

// again is said where the daemon itself is about to try again.
const again = "nothing: it goes on by itself"

// meanings is the table. A name that ends in <n> stands for one code for each number of WhatsApp's.
var meanings = map[string]Meaning{
	// What becomes of a check or a message.
	"offline":                          {Network, true, "wait"},
	"not_paired":                       {Account, false, "pair, then ask again"},
	"not_on_whatsapp":                  {Recipient, false, "check the number"},
	"recipient_unresolvable":           {Recipient, false, "try much later"},
	"no_recipient_copy":                {Recipient, true, "before a new message, look whether this one was delivered after all"},
	"rejected_403":                     {Recipient, false, "repeat it once at retry_at; without one, not at all"},
	"rejected_<n>":                     {Recipient, false, "do not repeat it"},
	"recipient_requires_prior_contact": {Recipient, false, "the recipient must write first"},
	"reachout_locked":                  {Account, true, "wait: first messages to strangers go on when the lock ends, everything else now"},
	"session_rebuild_needed":           {Recipient, false, "tell the maintainers"},
	"rate_limited":                     {Account, true, "send and check less"},
	"check_allowance":                  {Account, true, "wait: more number checks now would endanger the number"},
	"network_uncertain":                {Network, true, "before a new message, look whether this one was delivered after all"},
	"send_failed":                      {Account, true, "read the log"},
	"check_failed":                     {Account, true, "read the log"},
	"logout_failed":                    {Account, true, "read the log"},
	"wa_<n>":                           {Account, true, "tell the maintainers"},

	// What a task can end with beside that.
	"expired":           {Account, true, "look at what kept the account away, then ask again"},
	"account_changed":   {Request, false, "ask again, if the new number may send it"},
	"opted_out":         {Recipient, false, "respect it"},
	"same_text_blocked": {Request, false, "write something of your own to each"},
	"damaged_record":    {Library, false, "ask again; restore a backup when there are more of them"},
	"no_outcome":        {Library, true, "tell the maintainers"},
	"pair_not_shown":    {Library, true, again},

	// What the account's connection is up to.
	"number_unconfirmed":  {Account, false, "confirm the new number: whatsappd login --confirm"},
	"connect_failed":      {Network, true, "look at the network"},
	"proxy_unreachable":   {Network, true, "look at the proxy"},
	"connect_refused_<n>": {Account, true, "read the log"},
	"connection_lost":     {Network, true, again},
	"connection_silent":   {Network, true, again},
	"server_restart":      {Network, true, again},
	"logged_out":          {Account, false, "pair again"},
	"logout_requested":    {Account, false, "pair again when wanted"},
	"account_locked":      {Account, false, "look at the phone"},
	"account_banned":      {Account, false, "look at the phone"},
	"temp_banned":         {Account, true, "wait until its end, then send less"},
	"client_outdated":     {Library, false, "install a newer version"},
	"session_replaced":    {Account, true, "end one of the two processes, then log in"},
	"stopping":            {Library, true, "ask again in some seconds"},
	"store_failed":        {Library, true, "look at disk and permissions"},
	"pair_expired":        {Account, true, "pair again"},
	"pair_bad_identity":   {Account, true, "scan again"},
	"pair_failed":         {Account, true, "scan again"},
	"pair_rate_limited":   {Account, true, "wait a minute"},
	"passkey_invalid":     {Request, false, "give the whole line of the browser's console"},
	"passkey_refused":     {Account, false, "try once more"},

	// What the API refuses.
	"unauthorized":         {Request, false, "send one of the daemon's tokens"},
	"not_found":            {Request, false, "look at the path"},
	"method_not_allowed":   {Request, false, "use a method of the Allow header"},
	"invalid":              {Request, false, "write it as the detail says"},
	"idempotency_conflict": {Request, false, "use a new key"},
	"no_such_task":         {Request, false, "look at the id; finished tasks are kept for task.retention"},
	"no_such_contact":      {Request, false, "look at the id; one that was joined to another is gone"},
	"no_such_callback":     {Request, false, "look at the id"},
	"callback_not_dead":    {Request, false, "wait for its own next try"},
	"already_paired":       {Request, false, "log out first, to link another phone"},
	"no_passkey_wanted":    {Request, false, "begin a pairing"},
	"not_from_here":        {Request, false, "ask from the daemon's own machine"},
	"too_many_logins":      {Account, true, "try again tomorrow"},
	"too_many_tasks":       {Request, true, "wait as long as Retry-After says"},
	"queue_full":           {Library, true, "wait until some tasks have ended"},
	"disk_full":            {Library, true, "free some space"},
	"internal":             {Library, true, "read the log under the request id"},
}
