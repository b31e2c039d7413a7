import { expect, test } from 'vitest'

import { RequestFailed, explain, readJson } from './request.js'

test.each([0, 400, 401, 403, 404, 409, 410, 500, 503])('status %i is told in words', (status) => {
  expect(explain(status)).toMatch(/^[A-Z].*\.$/)
  expect(explain(status)).not.toMatch(/\d/)
})

test('an answer that breaks off is a request that failed, out of reach', async () => {
  const breaking = new ReadableStream<Uint8Array>({
    start(controls) {
      controls.enqueue(new TextEncoder().encode('{"documents": ['))
    },
    pull(controls) {
      controls.error(new TypeError('Failed to fetch'))
    },
  })
  const error = await readJson(new Response(breaking)).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(RequestFailed)
  expect((error as RequestFailed).status).toBe(0)
})
