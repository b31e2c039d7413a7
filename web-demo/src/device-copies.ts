import { RECENT_KEY, copyName } from './device-copy.js'
import { onDevice } from './kept.js'

/** Names of the documents whose copies hold what the server has not stored, as far as this device saw. */
export function unsentDocuments(): string[] {
  const stored: unknown = JSON.parse(onDevice.get(key()) ?? '[]')
  return Array.isArray(stored) ? stored.filter((name) => typeof name === 'string') : []
}

/** Notes whether the copy of a document holds what the server has not stored. */
export function noteUnsent(name: string, isUnsent: boolean): void {
  const names = unsentDocuments()
  if (names.includes(name) === isUnsent) return
  const others = names.filter((other) => other !== name)
  onDevice.set(key(), JSON.stringify(isUnsent ? [...others, name] : others))
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
