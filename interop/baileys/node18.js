// Baileys asks for Node 20. All it misses in Node 18, which Debian 12 has, is this global.
import { webcrypto } from 'node:crypto'

globalThis.crypto ??= webcrypto
