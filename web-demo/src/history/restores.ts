import type { Json } from 'collab-provider'

import type { Version } from './versions.js'

/** The most that a name of a version has, bytes of UTF-8; and parts of it, so that all fit. */
const WRITER_MOST_BYTES = 60
const WHAT_MOST_BYTES = 90

/** "Before Ada restored “First draft” (Nov 23, 2026, 2:05:12 PM)" */
const MARK = /^(Before .+ restored (.+)) \([^()]+\)$/

/** What the server's log does not say of a change: that it is a restore, by whom, and of what. */
export interface Restore {
  author: string | null
  what: string
}

/**
 * The name for the point before a restore: the way back for everybody, and the word of it.
 *
 * @param what what the text is taken back to
 */
export function nameBeforeRestore(writer: string, what: string, timeMs: number): string {
  const time = new Date(timeMs).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'medium' })
  return `Before ${clip(writer, WRITER_MOST_BYTES)} restored ${clip(what, WHAT_MOST_BYTES)} (${time})`
}

/**
 * What to tell a person when somebody else has restored something.
 *
 * @param payload what they said of it: `name` and `what`
 * @returns null where that is something else
 */
export function describeRestore(payload: Json): string | null {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return null
  const { name, what } = payload
  if (typeof name !== 'string' || typeof what !== 'string') return null
  const told = `${clip(name, WRITER_MOST_BYTES)} restored ${clip(what, WHAT_MOST_BYTES)}, for everybody.`
  return `${told} What was written since is in the history.`
}

/** Restores by the seq of the first change they can be: that after the point named before them. */
export function restoresIn(versions: readonly Version[]): Map<number, Restore> {
  const restores = new Map<number, Restore>()
  for (const { name, seq, author } of versions) {
    const what = MARK.exec(name)?.[2]
    if (what !== undefined) restores.set(seq + 1, { author, what })
  }
  return restores
}

/** A version's name as it is shown: without the time, where that is only there to tell names apart. */
export function shownName(name: string): string {
  return MARK.exec(name)?.[1] ?? name
}

/** As much of a text as fits, whole characters only. */
function clip(text: string, maxBytes: number): string {
  const encoder = new TextEncoder()
  if (encoder.encode(text).byteLength <= maxBytes) return text
  let clipped = ''
  let bytes = encoder.encode('…').byteLength
  for (const character of text) {
    bytes += encoder.encode(character).byteLength
    if (bytes > maxBytes) break
    clipped += character
  }
  return `${clipped}…`
}
