// Baileys against the simulator: each step prints what it saw; the first that fails ends the run.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, log } from './client.js'
import { addAccount, call, counters, happened, inbox, linked } from './simulator.js'

const me = '15550200001'
const ana = '15550200002' // a phone and a companion
const stranger = '15550200003' // writes first
const nobody = '15550209999' // not on WhatsApp
const sha256 = content => createHash('sha256').update(content).digest('hex')
const jid = number => `${number}@s.whatsapp.net`

// The 497 who are only there to be asked about.
let crowd = []

const folder = await mkdtemp(join(tmpdir(), 'interop-baileys-'))
let client

async function step(name, run) {
	const started = performance.now()
	const saw = await run()
	console.log(`ok  baileys: ${name}: ${saw} (${Math.round(performance.now() - started)} ms)`)
}

// decrypted is what every device of the recipient and the own phone made of a message: once each, and nothing twice.
async function decrypted(number, id, devices) {
	for (let known = 0; ;) {
		const entries = await inbox(number, known + 1)
		const copies = entries.filter(e => e.id === id)
		if (copies.length >= devices) {
			assert.deepEqual(copies.map(e => e.device), Array.from({ length: devices }, (_, i) => i))
			assert.ok(copies.every(e => e.duplicates === 0))
			return copies
		}
		assert.ok(entries.length > known, `${number} has decrypted ${copies.length} copies of ${id}, not ${devices}`)
		known = entries.length
	}
}

async function sendText(text) {
	const { key } = await client.socket.sendMessage(jid(ana), { text })
	for (const copy of await decrypted(ana, key.id, 2)) assert.equal(copy.text, text)
	const [own] = await decrypted(me, key.id, 1)
	assert.equal(own.text, text)
	assert.equal(own.sent_to, ana)
	return key.id
}

async function receiveText(from, text) {
	const { id } = await call('POST', `/accounts/${from}/write`, { to: me, text })
	const { message, key } = await client.received(id)
	assert.equal(message?.conversation ?? message?.extendedTextMessage?.text, text)
	assert.equal(key.remoteJid, jid(from))
}

try {
	await step('the directory', async () => {
		await addAccount({ number: me, name: 'Me' })
		await addAccount({ number: ana, name: 'Ana', companions: 1, behaviour: { receipts: 'read' } })
		await addAccount({ number: stranger, name: 'Stranger' })
		const added = await call('POST', '/accounts/range', { like: { number: '15550201' }, count: 497 })
		crowd = added.numbers
		return `${crowd.length + 2} contacts`
	})

	await step('pairs by QR', async () => {
		client = await Client.start(join(folder, 'qr'))
		await call('POST', `/accounts/${me}/scan`, { code: await client.until('code', () => client.qr) })
		client = await client.again()
		assert.deepEqual(await linked(me), [1])
		return `linked as ${client.socket.user.id}, ${client.socket.user.lid}`
	})

	await step('logs in again with the saved state', async () => {
		client.socket.end(undefined)
		client = await Client.start(client.folder)
		await client.until('login', () => client.open)
		return `as ${client.socket.user.id}`
	})

	await step('checks 500 numbers in one call', async () => {
		const asked = [ana, stranger, ...crowd, nobody]
		assert.equal(asked.length, 500)
		const found = await client.socket.onWhatsApp(...asked.map(jid))
		const registered = found.filter(f => f.exists).map(f => f.jid)
		assert.deepEqual(registered.sort(), asked.filter(n => n !== nobody).map(jid).sort())
		return `${registered.length} registered, ${nobody} is not`
	})

	await step('sends 20 texts', async () => {
		const ids = []
		for (let i = 1; i <= 20; i++) ids.push(await sendText(`text ${i}`))
		assert.equal(new Set(ids).size, 20)
		// The library folds updates that come fast, so not every one surfaces.
		await client.until('read receipt', () => ids.some(id => client.status.get(id) === 4))
		return 'both devices of the contact and the own phone decrypted each once; read'
	})

	await step('receives a text, and answers', async () => {
		await receiveText(ana, 'hello from Ana')
		const before = await counters()
		await sendText('hello to Ana')
		assert.equal((await counters()).msg, before.msg + 1)
		return 'decrypted; the answer goes by the session that both now have'
	})

	await step('a stranger writes first', async () => {
		await receiveText(stranger, 'we have not met')
		return 'decrypted'
	})

	await step('sends an image', async () => {
		const image = randomBytes(100_000)
		const { key } = await client.socket.sendMessage(jid(ana), {
			image, caption: 'a picture', mimetype: 'image/png', jpegThumbnail: randomBytes(100).toString('base64'),
		})
		for (const copy of await decrypted(ana, key.id, 2)) {
			assert.deepEqual([copy.kind, copy.text], ['image', 'a picture'])
			assert.deepEqual(copy.file, { mime_type: 'image/png', size: image.length, sha256: sha256(image) })
		}
		return 'both devices of the contact opened the file'
	})

	await step('receives an image', async () => {
		const image = randomBytes(100_000)
		const attachment = { kind: 'image', mime_type: 'image/png', data: image.toString('base64') }
		const { id } = await call('POST', `/accounts/${ana}/write`, { to: me, text: 'mine', attachment })
		const message = await client.received(id)
		assert.equal(message.message?.imageMessage?.caption, 'mine')
		assert.equal(sha256(await client.download(message)), sha256(image))
		return 'opened the file'
	})

	await step('logs itself out', async () => {
		await client.socket.logout()
		await happened('removed', me)
		assert.deepEqual(await linked(me), [])
		return 'the phone lists no device'
	})

	await step('pairs by code', async () => {
		client = await Client.start(join(folder, 'code'))
		await client.until('connection', () => client.qr)
		const code = await client.socket.requestPairingCode(me)
		await call('POST', `/accounts/${me}/code`, { code })
		client = await client.again()
		assert.deepEqual(await linked(me), [2])
		await sendText('paired by code')
		return `${code}; linked as ${client.socket.user.id}; sends`
	})

	await step('the phone removes it', async () => {
		await call('DELETE', `/accounts/${me}/devices/2`)
		assert.equal(await client.until('end', () => client.closed), 401)
		return 'logged out'
	})
} catch (error) {
	console.error(log.slice(-40).join(''))
	console.error('FAILED baileys:', error)
	process.exitCode = 1
} finally {
	await rm(folder, { recursive: true, force: true })
}
process.exit() // the library keeps timers
