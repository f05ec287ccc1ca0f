// The simulator's control API: see docs/simulator.md.

const api = process.env.SIMULATOR_API

// call asks the simulator, and throws what it answers when it refuses.
export async function call(method, path, body) {
	const answer = await fetch(api + path, { method, body: body && JSON.stringify(body) })
	const value = await answer.json()
	if (!answer.ok) throw new Error(`${method} ${path}: ${value.error}`)
	return value
}

export const counters = () => call('GET', '/counters')
export const addAccount = account => call('POST', '/accounts', account)
export const account = number => call('GET', `/accounts/${number}`)
export const inbox = (number, min = 0) => call('GET', `/accounts/${number}/inbox?min=${min}&wait=20s`)

// happened waits for an event.
export async function happened(what, from) {
	for (let after = 0; ;) {
		const events = await call('GET', `/events?after=${after}&wait=20s`)
		if (events.length === 0) throw new Error(`the simulator has seen no "${what}" of ${from}`)
		if (events.some(e => e.what === what && e.from === from)) return
		after = events.at(-1).seq
	}
}

// linked is the numbers of the clients that are linked to an account.
export const linked = async number => (await account(number)).devices.filter(d => d.linked).map(d => d.id)
