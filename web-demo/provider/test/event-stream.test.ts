import { expect, test } from 'vitest'

import { EventReader } from '../src/event-stream.js'

const STREAM = `:${' '.repeat(40)}\n\nevent: open\r\nid: é.0\ndata: {"a": 1}\n\n: here\n\nevent: frame\nid: é.1\ndata: AAA=\n\ndata: one\ndata:two\n\nevent: nothing\n\n`
const EVENTS = [
  { type: 'open', id: 'é.0', data: '{"a": 1}' },
  { type: 'frame', id: 'é.1', data: 'AAA=' },
  { type: 'message', id: 'é.1', data: 'one\ntwo' },
]

test.each([1, 2, 3, 7, 1_000])('events come whole however the stream is cut, here into %i bytes', (size) => {
  const bytes = new TextEncoder().encode(STREAM)
  const reader = new EventReader()
  const events = []
  for (let at = 0; at < bytes.byteLength; at += size) events.push(...reader.read(bytes.subarray(at, at + size)))
  expect(events).toEqual(EVENTS)
})
