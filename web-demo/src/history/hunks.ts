/** A place where two texts differ, as the server tells it; positions count code points. */
export interface Hunk {
  start_after: number
  removed: string
  inserted: string
}

/** What differs in one root. */
export interface Difference {
  root: string
  hunks?: Hunk[]
}

/** What was written and what was deleted at one place of a text; positions count UTF-16 units. */
export interface Mark {
  from: number
  to: number
  removed: string
}

/** Where the hunks lie in the later text, which an editor counts in UTF-16 units. */
export function marksOf(hunks: readonly Hunk[], text: string): Mark[] {
  const marks: Mark[] = []
  let codePoints = 0
  let units = 0
  for (const { start_after, removed, inserted } of hunks) {
    while (codePoints < start_after && units < text.length) {
      units += text.codePointAt(units)! > 0xffff ? 2 : 1
      codePoints += 1
    }
    marks.push({ from: units, to: Math.min(units + inserted.length, text.length), removed })
  }
  return marks
}
