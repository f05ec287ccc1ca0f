// A Baileys client that talks to the simulator and remembers what it heard.

import './node18.js'
import { once, EventEmitter } from 'node:events'
import { Agent } from 'node:https'
import { connect } from 'node:net'
import makeWASocket, { downloadMediaMessage, useMultiFileAuthState } from 'baileys'
import { WA_CERT_DETAILS } from 'baileys/lib/Defaults/index.js'
import pino from 'pino'

const address = process.env.SIMULATOR_ADDRESS

// The simulator signs its certificates with a root key of its own.
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(process.env.SIMULATOR_ROOT_KEY, 'hex')

// Files go to hosts that exist at WhatsApp only, and by TLS: uploads by this agent, downloads by fetch.
class ToSimulator extends Agent {
	createConnection() {
		const [host, port] = address.split(':')
		return connect(port, host)
	}
}
const fetchAsIs = globalThis.fetch
globalThis.fetch = (asked, options) => {
	const url = new URL(asked)
	if (url.protocol === 'https:') Object.assign(url, { protocol: 'http:', host: address })
	return fetchAsIs(url, options)
}

// What the library logs, for when a step fails.
export const log = []
const logger = pino({ level: 'warn' }, { write: line => log.push(line) })

export class Client {
	news = new EventEmitter() // "heard" after every event
	messages = new Map() // by ID
	status = new Map() // the highest status of our messages, by ID

	// start connects with the state in a folder. A folder that is empty makes a new device.
	static async start(folder) {
		const { state, saveCreds } = await useMultiFileAuthState(folder)
		const client = new Client()
		client.folder = folder
		client.socket = makeWASocket({
			auth: state,
			logger,
			waWebSocketUrl: `ws://${address}/ws/chat`,
			fetchAgent: new ToSimulator(),
			markOnlineOnConnect: false,
		})
		const on = (event, note) => client.socket.ev.on(event, value => { note(value); client.news.emit('heard') })
		on('creds.update', () => { client.saved = saveCreds() })
		on('connection.update', update => {
			if (update.qr) client.qr = update.qr
			if (update.connection === 'open') client.open = true
			if (update.connection === 'close') client.closed = update.lastDisconnect?.error?.output?.statusCode
		})
		on('messages.upsert', ({ messages }) => messages.forEach(m => client.messages.set(m.key.id, m)))
		on('messages.update', updates => updates.forEach(({ key, update }) => {
			client.status.set(key.id, Math.max(update.status ?? 0, client.status.get(key.id) ?? 0))
		}))
		return client
	}

	// until returns what a look finds, once it finds something.
	async until(what, look) {
		const timeout = AbortSignal.timeout(20_000)
		for (;;) {
			const found = look()
			if (found) return found
			await once(this.news, 'heard', { signal: timeout }).catch(() => {
				throw new Error(`no ${what} in 20 s (connection closed: ${this.closed ?? 'no'})`)
			})
		}
	}

	// again is a new connection with the saved state, once this one is over.
	async again() {
		await this.until('end of the connection', () => this.closed)
		await this.saved
		const next = await Client.start(this.folder)
		await next.until('login', () => next.open)
		return next
	}

	received = id => this.until(`message ${id}`, () => this.messages.get(id))

	download = message => downloadMediaMessage(message, 'buffer', {}, { logger })
}
