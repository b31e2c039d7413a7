import { SearchQuery, search, setSearchQuery } from '@codemirror/search'
import { EditorState } from '@codemirror/state'
import { expect, test } from 'vitest'

import { describeMatches } from './match-count.js'

/** What is said of a search in a text, with this much of it selected. */
function describe(doc: string, wanted: string, selected: [number, number] = [0, 0], regexp = false): string {
  const state = EditorState.create({ doc, extensions: search(), selection: { anchor: selected[0], head: selected[1] } })
  const query = new SearchQuery({ search: wanted, regexp })
  return describeMatches(state.update({ effects: setSearchQuery.of(query) }).state)
}

test('matches are counted, and the one that is selected', () => {
  expect(describe('The theme', 'the')).toBe('2 matches')
  expect(describe('The theme', 'the', [4, 7])).toBe('2 of 2')
  expect(describe('The theme', 'them')).toBe('1 match')
  expect(describe('The theme', 'thing')).toBe('No matches')
  expect(describe('The theme', '')).toBe('')
})

test('of a long text no more are counted than can be at once', () => {
  expect(describe('the '.repeat(1_000), 'the')).toBe('1000 matches')
  expect(describe('the '.repeat(100_000), 'the')).toBe('1000+ matches')
})

test('what is no pattern is told from what is not found', () => {
  expect(describe('The (theme', '(', [0, 0], true)).toBe('No pattern')
  expect(describe('The (theme', 'T|t', [0, 0], true)).toBe('2 matches')
})
