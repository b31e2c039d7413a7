import type { ChangeDesc } from '@codemirror/state'

/** A stretch of text by one author; positions count UTF-16 units. */
export interface Run {
  from: number
  to: number
  author: string | null
}

/** A run of a text, as the server attributes it. */
export interface AttributedRun {
  insert: unknown
  author: string | null
}

/** The text of attributed runs, and who wrote what of it; neighbours of one author are one run. */
export function readRuns(attributed: readonly AttributedRun[]): { text: string; runs: Run[] } {
  let text = ''
  const runs: Run[] = []
  for (const { insert, author } of attributed) {
    if (typeof insert !== 'string') continue // The editor shows text alone.
    const from = text.length
    text += insert
    add(runs, { from, to: text.length, author })
  }
  return { text, runs }
}

/**
 * Runs after a change of the text.
 *
 * @param writer who made it; undefined where that is not known yet
 */
export function mapRuns(
  runs: readonly Run[],
  changes: ChangeDesc,
  writer: string | null | undefined,
): Run[] {
  const mapped = runs.map(({ from, to, author }) => ({
    from: changes.mapPos(from, 1),
    to: changes.mapPos(to, -1),
    author,
  }))
  const inserted: Run[] = []
  changes.iterChangedRanges((_fromA, _toA, from, to) => {
    if (to > from) inserted.push({ from, to, author: writer ?? null })
  })
  const held: Run[] = []
  let position = 0
  for (const { from, to } of inserted) {
    held.push(...clip(mapped, position, from))
    position = to
  }
  held.push(...clip(mapped, position, changes.newLength))
  if (writer !== undefined) held.push(...inserted)
  return joined(held)
}

/**
 * What the server attributed, fitted to a text that has gone on since.
 *
 * Where the two texts differ, what was known so far is kept.
 *
 * @param runs of the text that was
 * @param held what was known so far, of the text that is now
 */
export function fitRuns(
  runs: readonly Run[],
  was: string,
  now: string,
  held: readonly Run[],
): { runs: Run[]; isExact: boolean } {
  const most = Math.min(was.length, now.length)
  let head = 0
  while (head < most && was[head] === now[head]) head += 1
  let tail = 0
  while (tail < most - head && was[was.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1
  const moved = now.length - was.length
  const behind = clip(runs, was.length - tail, was.length)
  return {
    runs: joined([
      ...clip(runs, 0, head),
      ...clip(held, head, now.length - tail),
      ...behind.map(({ from, to, author }) => ({ from: from + moved, to: to + moved, author })),
    ]),
    isExact: was === now,
  }
}

/** How much of the text is whose: shares of 1, the largest first. */
export function sharesOf(runs: readonly Run[]): [author: string | null, share: number][] {
  const lengths = new Map<string | null, number>()
  for (const { from, to, author } of runs) {
    lengths.set(author, (lengths.get(author) ?? 0) + to - from)
  }
  const whole = [...lengths.values()].reduce((sum, length) => sum + length, 0)
  return [...lengths]
    .map(([author, length]): [string | null, number] => [author, length / whole])
    .sort(([, one], [, other]) => other - one)
}

/** What lies between two positions. */
function clip(runs: readonly Run[], from: number, to: number): Run[] {
  return runs
    .filter((run) => run.to > from && run.from < to)
    .map((run) => ({ ...run, from: Math.max(run.from, from), to: Math.min(run.to, to) }))
}

function joined(runs: readonly Run[]): Run[] {
  const result: Run[] = []
  for (const run of [...runs].sort((a, b) => a.from - b.from)) add(result, run)
  return result
}

function add(runs: Run[], run: Run): void {
  if (run.to <= run.from) return
  const last = runs.at(-1)
  if (last?.to === run.from && last.author === run.author) last.to = run.to
  else runs.push({ ...run })
}
