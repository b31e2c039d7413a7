import { type Restore, restoresIn } from './restores.js'
import type { Version } from './versions.js'

/** How long somebody rests before what follows is another change, seconds: short, so that turns stay apart. */
export const PAUSE_SECONDS = 2
/** How long somebody rests before it is another moment, where nobody else writes meanwhile, milliseconds. */
const REST_MS = 60_000

/** What one author did without a pause, as the server lists it. */
export interface Change {
  author: string | null
  first_seq: number
  last_seq: number
  first_ms: number
  last_ms: number
}

/** One stored change, as the server tells of it when it is durable. */
export interface Entry {
  seq: number
  time_ms: number
  author: string | null
}

/** A stretch of the history: what one person wrote, or several who wrote at the same time. */
export interface Moment {
  /** Who wrote, the latest first. */
  authors: (string | null)[]
  firstSeq: number
  lastSeq: number
  firstMs: number
  lastMs: number
}

/** A row of the history: a moment or a version, with the point it leads to. */
export type Row =
  | { kind: 'moment'; seq: number; before: number; moment: Moment; restore: Restore | null }
  | { kind: 'version'; seq: number; before: number; version: Version }

/** The changes with one more entry, gathered as the server gathers them. */
export function grow(changes: readonly Change[], entry: Entry): Change[] {
  const at = changes.findIndex(({ author }) => author === entry.author)
  const last = changes[at]
  if (last && entry.time_ms - last.last_ms <= PAUSE_SECONDS * 1_000) {
    const grown = { ...last, last_seq: entry.seq, last_ms: Math.max(last.last_ms, entry.time_ms) }
    return [grown, ...changes.slice(0, at), ...changes.slice(at + 1)]
  }
  const { author, seq, time_ms } = entry
  const begun = { author, first_seq: seq, last_seq: seq, first_ms: time_ms, last_ms: time_ms }
  return [begun, ...changes]
}

/**
 * Gathers changes into moments, the newest first.
 *
 * A point of the history has what everyone had written by then: changes whose entries lie between
 * each other's cannot be looked at, or restored, one without the other.
 *
 * @param named seqs of versions: a moment ends where somebody named what there was
 */
export function momentsOf(changes: readonly Change[], named: readonly number[] = []): Moment[] {
  const moments: Moment[] = []
  for (const change of [...changes].sort((a, b) => b.last_seq - a.last_seq)) {
    const moment = moments.at(-1)
    if (moment && belongs(change, moment, named)) {
      moment.firstSeq = Math.min(moment.firstSeq, change.first_seq)
      moment.firstMs = Math.min(moment.firstMs, change.first_ms)
      moment.lastMs = Math.max(moment.lastMs, change.last_ms)
      if (!moment.authors.includes(change.author)) moment.authors.push(change.author)
    } else {
      moments.push({
        authors: [change.author],
        firstSeq: change.first_seq,
        lastSeq: change.last_seq,
        firstMs: change.first_ms,
        lastMs: change.last_ms,
      })
    }
  }
  return moments
}

/** Whether a change is of a moment that is newer. */
function belongs(
  { author, last_seq, last_ms }: Change,
  { authors, firstSeq, firstMs }: Moment,
  named: readonly number[],
): boolean {
  if (last_seq > firstSeq) return true
  if (authors.length > 1 || authors[0] !== author) return false
  return firstMs - last_ms <= REST_MS && !named.some((seq) => seq >= last_seq && seq < firstSeq)
}

/**
 * The rows of the history, the newest first.
 *
 * A version stands above the moment it ends in, and shows what changed since the version before it.
 * Those that the server named by itself are there where nothing else is left of their time.
 *
 * @param isWhole whether there are no older changes
 */
export function rowsOf(
  changes: readonly Change[],
  versions: readonly Version[],
  isWhole: boolean,
): Row[] {
  const people = versions.filter(({ automatic }) => !automatic)
  const restores = restoresIn(people)
  const moments = momentsOf(changes, [...people.map(({ seq }) => seq), ...restores.keys()])
  const oldest = moments.at(-1)?.firstSeq ?? Infinity
  const named = versions
    .filter(({ automatic, seq }) => !automatic || (isWhole && seq < oldest))
    .sort((a, b) => a.seq - b.seq || a.created_ms - b.created_ms)
  const rows: Row[] = named.map((version, index) => ({
    kind: 'version',
    seq: version.seq,
    before: named.slice(0, index).filter(({ seq }) => seq < version.seq).at(-1)?.seq ?? 0,
    version,
  }))
  const shown = isWhole ? rows : rows.filter(({ seq }) => seq >= oldest)
  shown.push(
    ...moments.map((moment): Row => {
      const { firstSeq, lastSeq, authors } = moment
      // Where somebody else wrote between the name and the restore, it is not told apart.
      const named = restores.get(firstSeq)
      const restore = named && authors.length === 1 && authors[0] === named.author ? named : null
      return { kind: 'moment', seq: lastSeq, before: firstSeq - 1, moment, restore }
    }),
  )
  const rank = (row: Row): number => (row.kind === 'version' ? row.version.created_ms : 0)
  return shown.sort((a, b) => b.seq - a.seq || rank(b) - rank(a))
}

/** A name for a row that stays while it grows. */
export function keyOf(row: Row): string {
  return row.kind === 'version' ? `version ${row.version.name}` : `moment ${row.moment.firstSeq}`
}

/** What the day of a time is called, seen from now. */
export function dayOf(timeMs: number, nowMs: number): string {
  const [day, today] = [new Date(timeMs), new Date(nowMs)]
  const yesterday = new Date(nowMs)
  yesterday.setDate(today.getDate() - 1)
  if (day.toDateString() === today.toDateString()) return 'Today'
  if (day.toDateString() === yesterday.toDateString()) return 'Yesterday'
  const isThisYear = day.getFullYear() === today.getFullYear()
  const year = isThisYear ? {} : ({ year: 'numeric' } as const)
  return day.toLocaleDateString('en', { weekday: 'long', day: 'numeric', month: 'long', ...year })
}

/** The time of day, or from when to when. */
export function timesOf(firstMs: number, lastMs: number): string {
  const [first, last] = [firstMs, lastMs].map((timeMs) =>
    new Date(timeMs).toLocaleTimeString([], { hour: 'numeric', minute: '2-digit' }),
  )
  return first === last ? last! : `${first} – ${last}`
}
