/// <reference lib="webworker" />
// Keeps the built page on this device, so that a reload without a connection shows it: with the
// text, which IndexedDB holds. Never touches the server's API or its WebSockets.

export {}

declare const self: ServiceWorkerGlobalScope

const CACHE = 'collab-page-1'
/** How long a reload waits for the server before it shows the kept page, milliseconds. */
const PATIENCE_MS = 4_000

const page = new URL('./', self.registration.scope)
const assets = new URL('./assets/', page)
const icon = new URL('./icon.svg', page)

self.addEventListener('install', (event) => {
  event.waitUntil(keepPage().then(() => self.skipWaiting()))
})

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

self.addEventListener('fetch', (event) => {
  const { request } = event
  if (request.method !== 'GET') return
  const url = new URL(request.url)
  if (request.mode === 'navigate' && url.origin === page.origin && url.pathname === page.pathname) {
    event.respondWith(answerPage(request))
  } else if (url.href.startsWith(assets.href) || url.href === icon.href) {
    event.respondWith(answerAsset(request))
  }
})

/** Fetches the page with all it consists of, and lets go of what it no longer names. */
async function keepPage(): Promise<void> {
  const response = await fetch(page, { cache: 'no-cache' })
  if (response.ok) await keep(response)
}

async function keep(response: Response): Promise<void> {
  const cache = await caches.open(CACHE)
  const html = await response.clone().text()
  const named = new Set(
    Array.from(
      html.matchAll(/(?:src|href)="(\.\/[^"#]+)"/g),
      ([, address]) => new URL(address!, page).href,
    ),
  )
  const kept = new Set((await cache.keys()).map(({ url }) => url))
  await cache.addAll([...named].filter((url) => !kept.has(url)))
  await cache.put(page, response)
  for (const url of kept) {
    if (url !== page.href && !named.has(url)) await cache.delete(url)
  }
}

/** The page from the server; the kept one where the server cannot be reached in time, or only what is before it. */
async function answerPage(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE)
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) })
    if (response.ok) {
      // Where keeping it fails, the page before stays whole.
      keep(response.clone()).catch((error: unknown) => console.warn('page not kept:', error))
    }
    // A proxy answers for a server that is down.
    return response.status < 500 ? response : ((await cache.match(page)) ?? response)
  } catch (error) {
    const kept = await cache.match(page)
    if (!kept) throw error
    return kept
  }
}

/** An asset from the cache: its name holds a hash of its content. */
async function answerAsset(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE)
  return (await cache.match(request)) ?? fetch(request)
}
