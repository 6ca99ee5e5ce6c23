/**
 * One request without a body that has to be streamed, and its answer, over a connection that is kept. The answer is
 * passed on as it comes: a slow client stops the program.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { AnswerLateError, refusalOfUpstream, refuse } from './answers.ts';
import type { Forwarding } from './forward.ts';
import { answerMs } from './http-client.ts';
import type { Kept, Turn } from './ports.ts';
import { beginAnswer, endAnswer, passInformation } from './relay.ts';

/** Doing them twice is the same as doing them once (RFC 9110, 9.2.2). */
const repeatable: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
/** The first piece of an answer up to this size is sent together with its head. */
const joinedBytesMax = 16 * 1024;

const isAscii = /^[ -~]*$/;

type Controller = Dispatcher.DispatchController;

const left = new Error('the client has left');

export class Exchange implements Dispatcher.DispatchHandler {
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #forwarding: Forwarding;
  readonly #body: Buffer | null;
  readonly #turn: Turn;
  #kept: Kept | null = null;
  #controller: Controller | null = null;
  /** Whether the program has answered anything. */
  #hasBegun = false;
  #mayRepeat: boolean;
  #isOver = false;
  /** The first piece of the answer, until the rest of what has come with it is known. */
  #first: Buffer | null = null;
  #isJoining = false;
  #hasWritten = false;
  /** When the program began to send informational answers. */
  #informedMs: number | null = null;

  /** `body`: all of it; null when there is none. */
  constructor(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    forwarding: Forwarding,
    body: Buffer | null,
  ) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#forwarding = forwarding;
    this.#body = body;
    this.#mayRepeat = body === null && repeatable.has(incoming.method ?? '');
    outgoing.on('close', () => this.#leave());
    const { upstreams, awake, guestPort } = forwarding;
    this.#turn = upstreams.turn(awake, guestPort, () => this.#send());
  }

  begin(): void {
    this.#turn.start();
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(left);
  }

  onResponseStarted(): void {
    this.#hasBegun = true;
  }

  onResponseStart(controller: Controller, status: number, _: unknown, reason = ''): void {
    const rawHeaders = textOf(controller.rawHeaders);
    if (status < 200) return void this.#onInformation(controller, status, rawHeaders);
    const head = { status, reason: bytesOf(reason), rawHeaders };
    if (!beginAnswer(this.#incoming, this.#outgoing, head, this.#forwarding.onError))
      return void this.#leave();
    this.#isJoining = true;
    queueMicrotask(() => this.#join());
  }

  onResponseData(controller: Controller, piece: Buffer): void {
    if (this.#isJoining && this.#first === null && piece.length <= joinedBytesMax) {
      this.#first = piece;
      return;
    }
    this.#isJoining = false;
    const isTaken = this.#writeFirst();
    if ((this.#outgoing.write(piece) && isTaken) || controller.paused) return;
    controller.pause();
    this.#outgoing.once('drain', () => controller.resume());
  }

  onResponseEnd(controller: Controller): void {
    // Its client has left while the connection ended.
    if (this.#isOver) return void this.#turn.end();
    const first = this.#first;
    this.#first = null;
    this.#isJoining = false;
    endAnswer(this.#incoming, this.#outgoing, first, textOf(controller.rawTrailers));
    this.#isOver = true;
    // The client finds out first whether the connection can carry another request.
    const kept = this.#kept;
    queueMicrotask(() => {
      if (kept !== null) this.#turn.keep(kept);
      this.#turn.end();
    });
  }

  onResponseError(_: unknown, error: Error): void {
    const kept = this.#kept;
    // It has not been sent. Otherwise the client ends the connection, and with its own reason.
    if (kept !== null && this.#controller === null) this.#turn.keep(kept);
    if (this.#isOver) return void this.#turn.end();
    if (this.#mayRepeat && kept?.isReused && !this.#hasBegun) {
      this.#mayRepeat = false;
      this.#controller = null;
      // Others that are kept may have been closed as well.
      return void this.#open();
    }
    this.#fail(error);
  }

  #onInformation(controller: Controller, status: number, rawHeaders: readonly string[]): void {
    const nowMs = performance.now();
    this.#informedMs ??= nowMs;
    // The client waits anew for the answer after each.
    if (nowMs - this.#informedMs > answerMs) controller.abort(new AnswerLateError());
    else passInformation(this.#outgoing, status, rawHeaders);
  }

  #send(): void {
    const kept = this.#turn.idle();
    if (kept === null) this.#open();
    else this.#dispatch(kept);
  }

  #dispatch(kept: Kept): void {
    this.#kept = kept;
    const { path, headers } = this.#forwarding;
    const method = (this.#incoming.method ?? 'GET') as Dispatcher.HttpMethod;
    kept.client.dispatch(
      { path, method, headers: headers as string[], body: this.#body, reset: false },
      this,
    );
  }

  #open(): void {
    const turn = this.#turn;
    const { upstreams, awake, guestPort } = this.#forwarding;
    upstreams.open(turn, awake, guestPort).then(
      (opened) => {
        if (!this.#isOver) return this.#dispatch(opened);
        turn.keep(opened);
        turn.end();
      },
      (error) => this.#fail(error),
    );
  }

  /** What has come with the head is sent with it; a head without a body, as of a stream of events, is sent soon. */
  #join(): void {
    if (!this.#isJoining) return;
    this.#isJoining = false;
    if (this.#first !== null) return void this.#writeFirst();
    setImmediate(() => {
      if (!this.#isOver && !this.#hasWritten) this.#outgoing.flushHeaders();
    });
  }

  /** False: the client is slow. */
  #writeFirst(): boolean {
    this.#hasWritten = true;
    const first = this.#first;
    this.#first = null;
    return first === null || this.#outgoing.write(first);
  }

  #fail(error: unknown): void {
    this.#turn.end();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#forwarding.onError(error);
    refuse(this.#incoming, this.#outgoing, refusalOfUpstream(error));
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Without a controller it waits for its turn, or is about to be sent and ends then.
    if (this.#controller === null) this.#turn.giveUp();
    // The end of the connection is about to end the request, which must not have ended before.
    else if (this.#kept?.stream.destroyed === false) this.#controller.abort(left);
  }
}

/** Raw headers, which come as bytes. */
function textOf(raw: Controller['rawHeaders']): string[] {
  return Array.isArray(raw) ? raw.map((each) => each.toString('latin1')) : [];
}

/** The bytes of a text that has been read as UTF-8, one character each. */
function bytesOf(text: string): string {
  return isAscii.test(text) ? text : Buffer.from(text).toString('latin1');
}
