import { RECENT_KEY, copyName } from './device-copy.js'
import { onDevice } from './kept.js'

/** Several people, or somebody who could not be told then: no id is this. */
const SEVERAL = ''

/** Names of the documents whose copies hold what the server has not stored, as far as this device saw. */
export function unsentDocuments(): string[] {
  return [...unsent().keys()]
}

/**
 * Those of them that one person wrote in alone.
 *
 * @param writer their id; null where nobody is signed in
 */
export function unsentBy(writer: string | null): string[] {
  return [...unsent()].flatMap(([name, by]) => (by === writer ? [name] : []))
}

/**
 * Whether the copy of a document holds what somebody else alone wrote and the server has not stored: it waits for them.
 *
 * @param reader the id of who is signed in; null where nobody is, or nobody knows yet
 */
export function isOthers(name: string, reader: string | null): boolean {
  const writer = unsent().get(name)
  return Boolean(writer) && reader !== null && writer !== reader
}

/** Notes that a person wrote in the copy of a document what the server has not stored. */
export function noteUnsent(name: string, writer: string | null): void {
  const noted = unsent()
  const by = noted.has(name) && noted.get(name) !== writer ? SEVERAL : writer
  if (noted.has(name) && noted.get(name) === by) return
  keepUnsent(noted.set(name, by))
}

/** Notes that the server has stored all that the copy of a document holds. */
export function noteSent(name: string): void {
  const noted = unsent()
  if (noted.delete(name)) keepUnsent(noted)
}

function unsent(): Map<string, string | null> {
  const stored: unknown = JSON.parse(onDevice.get(key()) ?? '[]')
  // Another release kept something else.
  return new Map(Array.isArray(stored) ? (stored.filter(Array.isArray) as [string, string | null][]) : [])
}

function keepUnsent(noted: Map<string, string | null>): void {
  onDevice.set(key(), JSON.stringify([...noted]))
}

/**
 * Removes the copies of all documents of this server, what is unsent in them included. None may be open on this page.
 *
 * @returns whether all are gone; otherwise another tab has some open, and they go when it is closed
 */
export async function removeCopies(): Promise<boolean> {
  onDevice.set(RECENT_KEY, null)
  onDevice.set(key(), null)
  const kept = await indexedDB.databases()
  const names = kept.flatMap(({ name }) => (name?.startsWith(copyName('')) ? [name] : []))
  return (await Promise.all(names.map(remove))).every(Boolean)
}

function remove(database: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const removing = indexedDB.deleteDatabase(database)
    removing.onsuccess = () => resolve(true)
    removing.onblocked = () => resolve(false)
    removing.onerror = () => reject(removing.error)
  })
}

function key(): string {
  return `collab.unsent:${new URL('./', document.baseURI).pathname}`
}
