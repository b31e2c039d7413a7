import { GFM, parser } from '@lezer/markdown'
import { expect, test } from 'vitest'

import { PARAGRAPH_MOST, boundedParagraphs } from './bounded-paragraphs.js'

const bounded = parser.configure([GFM, boundedParagraphs])

/** The nodes of a kind, from where to where. */
function nodes(text: string, kind: string): [from: number, to: number][] {
  const found: [number, number][] = []
  bounded.parse(text).iterate({
    enter: ({ name, from, to }) => void (name === kind && found.push([from, to])),
  })
  return found
}

test('a text of ordinary length is read as ever', () => {
  const text = '# Title\n\nOne *two*\nthree\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[x]: https://example.org\n\n- **four**\n'
  expect(bounded.parse(text).toString()).toBe(parser.configure(GFM).parse(text).toString())
})

test('lines without end are several paragraphs, with all that is in them', () => {
  const line = 'words and **more** words\n'
  const text = line.repeat(2_000)
  const paragraphs = nodes(text, 'Paragraph')
  expect(paragraphs.length).toBeGreaterThan(text.length / PARAGRAPH_MOST - 1)
  for (const [from, to] of paragraphs) expect(to - from).toBeLessThan(PARAGRAPH_MOST + 2 * line.length)
  expect(nodes(text, 'StrongEmphasis')).toHaveLength(2_000)
})

test('a line that is too long by itself is not looked into, and what follows is', () => {
  const long = '*word* '.repeat(PARAGRAPH_MOST / 4)
  expect(nodes(`${long}\n*next*\n\n*after*\n`, 'Emphasis')).toHaveLength(2)
  expect(nodes(long, 'Paragraph')).toEqual([[0, long.length]])
})
