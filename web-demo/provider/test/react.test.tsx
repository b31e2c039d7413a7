// @vitest-environment jsdom
import { act, cleanup, render, screen } from '@testing-library/react'
import { type ReactNode, StrictMode } from 'react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import * as Y from 'yjs'

import { CollabRoot, type Prepare, useCollab, useConnection, useMessages, usePresence } from '../src/react/index.js'
import { Wire } from './wire.js'

let wire: Wire

beforeEach(() => {
  vi.useFakeTimers()
  wire = new Wire()
})

afterEach(async () => {
  cleanup()
  await vi.advanceTimersByTimeAsync(5_000)
  vi.useRealTimers()
})

/** Lets everything happen that happens within so long, and draws it. */
const pass = (ms = 0): Promise<void> => act(async () => void (await vi.advanceTimersByTimeAsync(ms)))

function Root({ children, prepare }: { children: ReactNode; prepare?: Prepare }): ReactNode {
  return (
    <StrictMode>
      <CollabRoot
        url="http://server.test"
        WebSocket={wire.WebSocket}
        transports={['websocket']}
        {...(prepare && { prepare })}
      >
        {children}
      </CollabRoot>
    </StrictMode>
  )
}

function Standing({ name }: { name: string }): ReactNode {
  const { status, saved, pendingChanges, doc } = useCollab(name)
  return (
    <button onClick={() => doc.getText('content').insert(0, 'x')}>
      {`${name} ${status} ${saved} ${pendingChanges}`}
    </button>
  )
}

const shown = (): string[] => screen.queryAllByRole('button').map(({ textContent }) => textContent ?? '')
const greetings = (name: string): number =>
  wire.sockets.flatMap(({ said }) => said).filter(([document, type]) => document === name && type === 2).length

test('a component shows where its document stands, through the double mount of strict mode', async () => {
  render(<Root><Standing name="a" /></Root>)
  expect(shown()).toEqual(['a connecting false 0'])
  await pass()
  expect(shown()).toEqual(['a connected true 0'])
  await pass(10_000)
  expect([shown(), wire.sockets.length, greetings('a')]).toEqual([['a connected true 0'], 1, 1])
  act(() => wire.last.end(1006))
  expect(shown()).toEqual(['a reconnecting true 0'])
  act(() => screen.getByRole('button').click())
  expect(shown()).toEqual(['a reconnecting false 1'])
  await pass(5_000)
  expect(shown()).toEqual(['a connected true 0'])
  expect(wire.docOf('a').getText('content').toString()).toBe('x')
})

test('components with the same document share it, and it is left with the last of them', async () => {
  const tree = (...names: string[]): ReactNode => (
    <Root>{names.map((name, index) => <Standing key={index} name={name} />)}</Root>
  )
  const { rerender } = render(tree('a', 'a', 'b'))
  await pass()
  expect([greetings('a'), greetings('b')]).toEqual([1, 1])
  rerender(tree('a'))
  await pass(5_000)
  const left = wire.last.said.filter(([, type]) => type === 7).map(([document]) => document)
  expect([left, shown()]).toEqual([['b'], ['a connected true 0']])
})

test('a component that changes its document shows the other one', async () => {
  const { rerender } = render(<Root><Standing name="a" /></Root>)
  await pass()
  rerender(<Root><Standing name="b" /></Root>)
  await pass()
  expect(shown()).toEqual(['b connected true 0'])
  rerender(<Root><Standing name="a" /></Root>)
  await pass(5_000)
  expect([shown(), greetings('a')]).toEqual([['a connected true 0'], 1])
})

test('what is unmounted closes its documents and its connection, and leaves no timer', async () => {
  const { unmount } = render(<Root><Standing name="a" /></Root>)
  await pass()
  unmount()
  await pass(5_000)
  expect([wire.last.readyState, wire.sockets.length]).toEqual([3, 1])
  expect(vi.getTimerCount()).toBe(0)
})

test('presence is drawn when others come, move and leave', async () => {
  function People(): ReactNode {
    const { others, own, patch } = usePresence('a')
    return (
      <button onClick={() => patch({ name: 'me' })}>
        {JSON.stringify([own, ...others.map(({ state }) => state)])}
      </button>
    )
  }
  render(<Root><People /></Root>)
  await pass()
  act(() => screen.getByRole('button').click())
  expect(shown()).toEqual(['[{"name":"me"}]'])
  const say = (clock: number, state: string): void => {
    const json = new TextEncoder().encode(state)
    act(() => wire.last.tell('a', 1, Uint8Array.of(1, 7, clock, json.length, ...json)))
  }
  say(1, '{"name":"Ada"}')
  expect(shown()).toEqual(['[{"name":"me"},{"name":"Ada"}]'])
  say(2, '{"name":"Ada","at":3}')
  expect(shown()).toEqual(['[{"name":"me"},{"name":"Ada","at":3}]'])
  say(3, 'null')
  expect(shown()).toEqual(['[{"name":"me"}]'])
})

test('messages go to the listener of the last drawing', async () => {
  const heard: unknown[] = []
  function Listening({ as }: { as: string }): ReactNode {
    useMessages('a', 'ping', (payload) => heard.push([as, payload]))
    return null
  }
  const { rerender } = render(<Root><Listening as="first" /></Root>)
  await pass()
  const say = (): void => act(() => wire.last.tell('a', 5, '{"type":"ping","payload":1}'))
  say()
  rerender(<Root><Listening as="second" /></Root>)
  say()
  rerender(<Root>{null}</Root>)
  say()
  expect(heard).toEqual([['first', 1], ['second', 1]])
})

test('documents are prepared before the server is asked', async () => {
  const prepare: Prepare = async (_name: string, doc: Y.Doc) => {
    await new Promise((resolve) => setTimeout(resolve, 500))
    doc.getText('content').insert(0, 'kept')
  }
  render(<Root prepare={prepare}><Standing name="a" /></Root>)
  await pass(400)
  expect(greetings('a')).toBe(0)
  await pass(200)
  expect([shown(), wire.docOf('a').getText('content').toString()]).toEqual([['a connected true 0'], 'kept'])
})

test('outside of a root there is no connection', () => {
  const Lost = (): ReactNode => useConnection().status
  const complained = vi.spyOn(console, 'error').mockReturnValue()
  expect(() => render(<Lost />)).toThrow('expected a component inside of CollabRoot')
  complained.mockRestore()
})
