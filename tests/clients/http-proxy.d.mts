/** See `http-proxy.mjs`. */
export class HttpProxy {
  constructor(options: { port: number })
  open(): Promise<number>
  websockets(): number
  connections(): number
  block_websockets(): void
  hold_streams(): void
  allow(): void
  delay(options: { ms: number }): void
  drop(): void
  cut(): void
  mend(): void
  close(): Promise<void>
}
