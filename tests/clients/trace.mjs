import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'

const BREATH = 200
const MOST_BUFFERED_BYTES = 256 * 1024

/**
 * Types a recorded history, one transaction an update, as fast as the client's socket takes it, or
 * as its changes become durable: then not all at once.
 *
 * The format is that of https://github.com/josephg/editing-traces: positions are code points.
 */
export async function replay(client, path, waits) {
  const { startContent, txns } = JSON.parse(gunzipSync(await readFile(path)))
  if (startContent !== '') throw new Error('expected a history that starts from nothing')
  const astral = new AstralCharacters()
  let edits = 0
  for (const [index, { patches }] of txns.entries()) {
    client.doc.transact(() => {
      for (const [position, deleted, inserted] of patches) {
        const at = astral.units(position)
        if (deleted > 0) {
          client.text.delete(at, astral.units(position + deleted) - at)
          astral.remove(position, deleted)
        }
        if (inserted !== '') {
          client.text.insert(at, inserted)
          astral.insert(position, inserted)
        }
      }
    })
    edits += patches.length
    if (index % BREATH === 0) await (waits ? client.when_acknowledged() : drained(client))
  }
  return edits
}

async function drained(client) {
  do await new Promise(setImmediate)
  while (client.bufferedBytes > MOST_BUFFERED_BYTES)
}

/** Where a text holds characters of two UTF-16 units; turns code points into units. */
class AstralCharacters {
  #positions = []

  units(position) {
    return position + this.#positions.filter((at) => at < position).length
  }

  insert(position, inserted) {
    const characters = [...inserted]
    const added = [...characters.keys()].filter((index) => characters[index].length > 1)
    this.#positions = this.#positions.map((at) => (at >= position ? at + characters.length : at))
    this.#positions.push(...added.map((index) => position + index))
  }

  remove(position, count) {
    this.#positions = this.#positions
      .filter((at) => at < position || at >= position + count)
      .map((at) => (at >= position ? at - count : at))
  }
}
