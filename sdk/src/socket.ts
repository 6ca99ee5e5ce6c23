/** WebSockets of any runtime: what the client needs of one, and how one is opened with a key. */
import { encodeBase64 } from './base64.ts';

/** The part of the web's WebSocket that is used. That of the package `ws` fits, too. */
export interface SocketLike {
  binaryType: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: 'close',
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
}

export interface SocketRequest {
  /** `ws://…` or `wss://…` */
  readonly url: string;
  /** The subprotocol to offer. */
  readonly protocol: string;
  readonly key: string | undefined;
}

/** Begins to open a WebSocket. */
export type SocketFactory = (request: SocketRequest) => SocketLike;

/** With the runtime's own WebSocket, which sends no headers: the key is offered as a second subprotocol. */
export const openWebSocket: SocketFactory = ({ url, protocol, key }) =>
  new WebSocket(url, key === undefined ? [protocol] : [protocol, keyProtocol(key)]);

/** The subprotocol that carries a key. */
export function keyProtocol(key: string): string {
  const encoded = encodeBase64(new TextEncoder().encode(key));
  return `flotilla.key.${encoded.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
}
