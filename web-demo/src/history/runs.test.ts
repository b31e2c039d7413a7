import { ChangeSet } from '@codemirror/state'
import { expect, test } from 'vitest'

import { type Run, fitRuns, mapRuns, readRuns, sharesOf } from './runs.js'

const { text: TEXT, runs: RUNS } = readRuns([
  { insert: 'Dear ', author: '~Ada' },
  { insert: '😀', author: '~Ada' },
  { insert: ' reader', author: '~Grace' },
])
const shown = (runs: readonly Run[], text: string): [string, string | null][] =>
  runs.map(({ from, to, author }) => [text.slice(from, to), author])

test('neighbours of one author are one run', () => {
  expect(shown(RUNS, TEXT)).toEqual([
    ['Dear 😀', '~Ada'],
    [' reader', '~Grace'],
  ])
})

test('what is typed within somebody else’s text is the writer’s at once', () => {
  const change = ChangeSet.of({ from: 8, insert: 'kind ' }, TEXT.length)
  expect(shown(mapRuns(RUNS, change, '~Ada'), 'Dear 😀 kind reader')).toEqual([
    ['Dear 😀', '~Ada'],
    [' ', '~Grace'],
    ['kind ', '~Ada'],
    ['reader', '~Grace'],
  ])
})

test('what others write is nobody’s until the server says whose it is', () => {
  const change = ChangeSet.of({ from: TEXT.length, insert: '!' }, TEXT.length)
  expect(mapRuns(RUNS, change, undefined)).toEqual(RUNS)
})

test('what is deleted is gone, and what came behind it moves up', () => {
  const change = ChangeSet.of({ from: 2, to: 9 }, TEXT.length)
  expect(shown(mapRuns(RUNS, change, '~Ada'), 'Deeader')).toEqual([
    ['De', '~Ada'],
    ['eader', '~Grace'],
  ])
})

test('an answer that is older than the text is used around what is new', () => {
  const now = 'Dear 😀 gentle reader'
  const held = mapRuns([], ChangeSet.of({ from: 8, insert: 'gentle ' }, TEXT.length), '~Me')
  const { runs, isExact } = fitRuns(RUNS, TEXT, now, held)
  expect(isExact).toBe(false)
  expect(shown(runs, now)).toEqual([
    ['Dear 😀', '~Ada'],
    [' ', '~Grace'],
    ['gentle ', '~Me'],
    ['reader', '~Grace'],
  ])
  expect(fitRuns(RUNS, TEXT, TEXT, [])).toEqual({ runs: RUNS, isExact: true })
})

test('shares add up to everything, the largest first', () => {
  const shares = sharesOf([
    { from: 0, to: 1, author: '~Ada' },
    { from: 1, to: 4, author: '~Grace' },
  ])
  expect(shares).toEqual([
    ['~Grace', 0.75],
    ['~Ada', 0.25],
  ])
})
