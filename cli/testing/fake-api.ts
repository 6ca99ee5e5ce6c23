/**
 * A daemon without machines: the `/machines` API over real HTTP, with states that refuse what a daemon refuses, a few
 * made-up programs to exec, answers that can be held back, and a log of what happened that can be awaited.
 */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { FakeExecs } from './fake-execs.ts';
import { FakeFiles } from './fake-files.ts';
import { answerNoun, FakeNouns } from './fake-nouns.ts';
import { FakePorts } from './fake-ports.ts';
import { runProgram } from './fake-programs.ts';
import { FakePublished } from './fake-published.ts';
import { Refusal } from './refusal.ts';

interface FakeMachine {
  readonly id: string;
  readonly name: string;
  status: string;
  readonly [field: string]: unknown;
}

const mib = 2 ** 20;

export class FakeApi implements AsyncDisposable {
  readonly machines = new Map<string, FakeMachine>();
  /** `METHOD /path` as requests come in, and what became of them, such as `deleted web` or `killed`. */
  readonly log: string[] = [];
  readonly #measured = new Map<string, number>();
  readonly createBodies: Record<string, unknown>[] = [];
  /** Keys, images and operations. */
  readonly nouns = new FakeNouns((entry) => this.note(entry));
  /** What all machines have on their disks. */
  readonly files = new FakeFiles((entry) => this.note(entry));
  /** The commands of the only machine that has some. */
  readonly execs = new FakeExecs((entry) => this.note(entry));
  /** What listens in every machine. */
  readonly ports = new FakePorts((entry) => this.note(entry));
  /** Ports of the host that lead to machines. */
  readonly published = new FakePublished();
  /** What every machine was not allowed to reach. */
  readonly denied: Record<string, unknown>[] = [];
  /** What every machine's console has printed, and prints while it is followed. */
  consoleText = '';
  readonly #followers = new Set<ServerResponse>();
  readonly #key: string | null;
  readonly #server: Server;
  readonly #socketServer: Server;
  readonly #gates = new Map<string, Promise<void>>();
  readonly #answers = new Map<string, Refusal>();
  readonly #waiting = new Set<() => void>();

  private constructor(key: string | null) {
    this.#key = key;
    const serve = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server = createServer(serve);
    this.#socketServer = createServer(serve);
    for (const server of [this.#server, this.#socketServer]) {
      server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        this.ports.answer(request, socket, head, () => this.#authorize(request));
      });
    }
  }

  /** Listens on a port of its own; with a `key`, everything but `/health` wants it. */
  static async start(key: string | null = null): Promise<FakeApi> {
    const api = new FakeApi(key);
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  /** Answers on the operator's socket of a state directory too. */
  async listenIn(stateDir: string): Promise<void> {
    const directory = join(stateDir, 'operator');
    mkdirSync(directory, { mode: 0o700 });
    this.#socketServer.listen(join(directory, 'api.sock'));
    await once(this.#socketServer, 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  note(entry: string): void {
    this.log.push(entry);
    for (const check of this.#waiting) check();
  }

  /** Resolves when an entry of the log matches, now or later. */
  async saw(pattern: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => {
      if (this.log.some((entry) => pattern.test(entry))) resolve();
    };
    this.#waiting.add(check);
    check();
    await promise;
    this.#waiting.delete(check);
  }

  /** Lets requests such as `POST /machines` wait, after they took effect, until the returned function is called. */
  hold(request: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gates.set(request, promise);
    return resolve;
  }

  /** Answers such requests with an error, and does nothing for them. */
  refuse(request: string, status: number, code: string, message: string): void {
    this.#answers.set(request, new Refusal(status, code, message));
  }

  /** Breaks every connection, answered or not. */
  dropConnections(): void {
    this.#server.closeAllConnections();
  }

  add(name: string, status = 'running', fields: Readonly<Record<string, unknown>> = {}): FakeMachine {
    const now = new Date().toISOString();
    const id = `id${String(this.machines.size).padStart(10, '0')}`;
    const sizes = { vcpu_count: 1, mem_size_mib: 512, image: 'busybox' };
    const machine = { ...sizes, ...fields, id, name, status, created_at: now, updated_at: now };
    this.machines.set(id, machine);
    return machine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.files.close();
    this.ports.close();
    for (const server of [this.#server, this.#socketServer].filter(({ listening }) => listening)) {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fake');
    const line = `${request.method} ${pathname}`;
    try {
      const isUpload = request.method === 'PUT' || pathname.includes('/execs');
      const body = isUpload ? {} : await readBody(request);
      this.note(line);
      if (pathname === '/health') return send(response, 200, { status: 'ok', version: '9.9.9' });
      this.#authorize(request);
      if (pathname.startsWith('/api/v1/')) {
        const refusal = this.#answers.get(line);
        if (refusal !== undefined) throw refusal;
        const { status, body: answer } = await answerNoun(this.nouns, line, searchParams, body, request);
        return answer === undefined ? void response.writeHead(status).end() : send(response, status, answer);
      }
      const [, noun, id, verb, ...below] = pathname.split('/');
      if (noun !== 'machines') throw new Refusal(404, 'NOT_FOUND', 'no such route');
      if (verb === 'files') {
        this.#find(id ?? '');
        return await this.files.answer(line, searchParams, request, response);
      }
      if (verb === 'execs') {
        this.#running(id ?? '');
        return await this.execs.answer(request.method ?? '', below, searchParams, request, response);
      }
      const route = [`${request.method} /machines`, id && ':id', verb].filter(Boolean).join(' ');
      const refusal = this.#answers.get(route);
      if (refusal !== undefined) throw refusal;
      await this.#route(route, id ?? '', searchParams, body, request, response);
    } catch (error) {
      if (!(error instanceof Refusal)) return void response.destroy(error as Error);
      const { status, code, message } = error;
      send(response, status, { error: { code, message, request_id: 'req_1' } });
    }
  }

  async #route(
    route: string,
    id: string,
    query: URLSearchParams,
    body: Readonly<Record<string, unknown>>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    switch (route) {
      case 'POST /machines': {
        const machine = this.#create(body);
        await this.#gates.get(route);
        return send(response, 201, machine);
      }
      case 'GET /machines':
        await this.#gates.get(route);
        return send(response, 200, this.#list(query));
      case 'GET /machines :id':
        return send(response, 200, this.#find(id));
      case 'PATCH /machines :id':
        return send(response, 200, this.#update(id, body));
      case 'POST /machines :id start':
        if (isAlready(this.#find(id), 'running', query)) return send(response, 200, this.#find(id));
        return send(response, 200, await this.#start(id, route));
      case 'POST /machines :id restart':
        await this.#gates.get(route);
        return send(response, 200, this.#change(id, 'restart', 'running', 'running'));
      case 'POST /machines :id pause':
        return send(response, 200, this.#change(id, 'pause', 'running', 'paused'));
      case 'POST /machines :id resume':
        return send(response, 200, this.#change(id, 'resume', 'paused', 'running'));
      case 'GET /machines :id wait':
        return send(response, 200, await this.#wait(id, query, route));
      case 'POST /machines :id stop':
        if (isAlready(this.#find(id), 'stopped', query)) return send(response, 200, this.#find(id));
        return send(response, 200, this.#stop(id));
      case 'DELETE /machines :id':
        this.#delete(id, query.get('force') === 'true');
        return void response.writeHead(204).end();
      case 'POST /machines :id snapshots': {
        const machine = this.#find(id);
        this.note(`snapshot ${machine.name} ${JSON.stringify(body)}`);
        await this.#gates.get(route);
        return send(response, 201, this.nouns.addSnapshot(machine, body));
      }
      case 'POST /machines :id fork':
        return send(response, 201, { machines: this.#fork(id, body) });
      case 'GET /machines :id metrics':
        return send(response, 200, this.#metrics(id));
      case 'GET /machines :id ports':
        return send(response, 200, { ports: this.published.of(this.#find(id).id) });
      case 'POST /machines :id ports':
        return send(response, 201, this.published.publish(this.#find(id).id, body));
      case 'DELETE /machines :id ports':
        return send(response, 200, this.published.withdraw(this.#find(id).id, request.url ?? ''));
      case 'GET /machines :id network':
        return send(response, 200, { denied: this.denied });
      case 'GET /machines :id console':
        return this.#console(id, query, response);
      case 'POST /machines :id exec':
        return this.#exec(id, body, request, response);
      default:
        throw new Refusal(404, 'NOT_FOUND', `no route ${route}`);
    }
  }

  #authorize(request: IncomingMessage): void {
    if (this.#key === null) return;
    const given = request.headers.authorization;
    if (given === undefined) throw new Refusal(401, 'UNAUTHORIZED', 'Authorization header is required');
    if (given !== `Bearer ${this.#key}`) throw new Refusal(401, 'UNAUTHORIZED', 'Invalid API key');
  }

  #find(id: string): FakeMachine {
    const machine = this.machines.get(id) ?? [...this.machines.values()].find(({ name }) => name === id);
    if (machine === undefined) throw new Refusal(404, 'NOT_FOUND', `Machine with id '${id}' not found`);
    return machine;
  }

  #running(id: string): FakeMachine {
    const machine = this.#find(id);
    if (machine.status === 'running') return machine;
    throw new Refusal(400, 'BAD_REQUEST', 'Machine must be running to execute commands');
  }

  #create(body: Readonly<Record<string, unknown>>): FakeMachine {
    const { name } = body;
    if ([...this.machines.values()].some((machine) => machine.name === name)) {
      throw new Refusal(409, 'CONFLICT', `the name '${name}' is taken`);
    }
    this.createBodies.push(body);
    // As the daemon maps a reference of another system.
    const note = '`alpine:latest` is not an image of this host; an alias maps it to debian-12';
    const mapped = body.image === 'alpine:latest' ? { image: 'debian-12', image_note: note } : {};
    return this.add(String(name), 'pending', { ...body, ...mapped });
  }

  #list(query: URLSearchParams) {
    const statuses = query.getAll('status');
    const images = query.getAll('image');
    this.note(`list ${query}`);
    const labels = query.getAll('label');
    const all = [...this.machines.values()].filter(
      (machine) =>
        (statuses.length === 0 || statuses.includes(machine.status)) &&
        (images.length === 0 || images.includes(String(machine.image))) &&
        labels.every((label) => hasLabel(machine, label)),
    );
    const offset = Number(query.get('offset') ?? 0);
    return { machines: all.slice(offset, offset + Number(query.get('limit') ?? 50)), total: all.length };
  }

  #update(id: string, body: Readonly<Record<string, unknown>>): FakeMachine {
    const machine = this.#find(id);
    this.note(`update ${machine.name} ${JSON.stringify(body)}`);
    const changed = { ...machine, ...body };
    this.machines.set(machine.id, changed);
    return changed;
  }

  async #start(id: string, route: string): Promise<FakeMachine> {
    const machine = this.#find(id);
    if (!['pending', 'stopped', 'failed'].includes(machine.status)) throw wrongState('start', machine);
    machine.status = 'starting';
    await this.#gates.get(route);
    if (machine.status !== 'starting') throw new Refusal(500, 'RUNTIME_ERROR', 'the start was cancelled');
    machine.status = 'running';
    return machine;
  }

  #change(id: string, action: string, from: string, to: string): FakeMachine {
    const machine = this.#find(id);
    if (machine.status !== from) throw wrongState(action, machine);
    machine.status = to;
    return machine;
  }

  /** Never waits by itself: unless held back, a status that is not there yet has timed out. */
  async #wait(id: string, query: URLSearchParams, route: string): Promise<FakeMachine> {
    const status = query.get('status');
    this.note(`wait ${query}`);
    await this.#gates.get(route);
    const machine = this.#find(id);
    if (machine.status === status) return machine;
    if (machine.status === 'failed') throw new Refusal(400, 'BAD_REQUEST', `machine ${id} has failed`);
    throw new Refusal(504, 'TIMEOUT', `Timed out waiting for machine ${id} to reach status ${status}`);
  }

  /** Each call is a second later, in which one processor worked for half of it. */
  #metrics(id: string): object {
    const { id: machineId, status, vcpu_count } = this.#find(id);
    const calls = (this.#measured.get(machineId) ?? 0) + 1;
    this.#measured.set(machineId, calls);
    this.note(`measured ${id}`);
    const isUp = status === 'running';
    const guest = { total_bytes: 400 * mib, available_bytes: 300 * mib };
    return {
      ...{ machine_id: machineId, status, uptime_seconds: isUp ? calls : 0 },
      measured_at: new Date(calls * 1000).toISOString(),
      cpu: { vcpu_count, time_ms: isUp ? calls * 500 : null },
      memory: { size_bytes: 512 * mib, host_used_bytes: 200 * mib, guest: isUp ? guest : null },
      disk: { size_bytes: 1024 * mib, read_bytes: 4096, write_bytes: null, reads: 1, writes: null },
      network: { rx_bytes: null, tx_bytes: null, rx_packets: null, tx_packets: null },
    };
  }

  #stop(id: string): FakeMachine {
    const machine = this.#find(id);
    if (!['running', 'starting'].includes(machine.status)) throw wrongState('stop', machine);
    machine.status = 'stopped';
    return machine;
  }

  /** A child called `…-3` is never made. */
  #fork(id: string, { count = 1, name, start = true }: Readonly<Record<string, unknown>>): object[] {
    const parent = this.#find(id);
    const names = Array.from({ length: Number(count) }, (_, index) => `${name ?? parent.name}-${index + 1}`);
    return names.map((child) =>
      child.endsWith('-3')
        ? { name: child, machine: null, error: { code: 'UNAVAILABLE', message: 'the disk is full' } }
        : { name: child, machine: this.add(child, start ? 'running' : 'pending'), error: null },
    );
  }

  #delete(id: string, force: boolean): void {
    const machine = this.#find(id);
    if (!force && ['starting', 'running'].includes(machine.status)) throw wrongState('delete', machine);
    this.machines.delete(machine.id);
    this.note(`deleted ${machine.name}`);
  }

  #console(id: string, query: URLSearchParams, response: ServerResponse): void {
    this.#find(id);
    this.note(`console ${query}`);
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).write(this.consoleText);
    if (query.get('follow') !== 'true') return void response.end();
    this.#followers.add(response);
    response.once('close', () => this.note(response.writableFinished ? 'console ended' : 'console left'));
  }

  /** Prints to the consoles that are followed; null ends them. */
  printConsole(text: string | null): void {
    for (const response of this.#followers) {
      if (text === null) response.end();
      else response.write(text);
    }
  }

  async #exec(
    id: string,
    body: Readonly<Record<string, unknown>>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { id: machine } = this.#running(id);
    if (body.detach === true) {
      const exec = this.execs.start(body);
      return send(response, 201, { id: exec.id, machine_id: machine, pid: 7 });
    }
    if (request.headers.accept !== 'application/x-ndjson')
      throw new Refusal(400, 'BAD_REQUEST', 'stream only');
    response.once('close', () => this.note(response.writableFinished ? 'exec ended' : 'killed'));
    if (body.stdin_open === true) {
      const exec = this.execs.start(body);
      const first = { type: 'started', id: exec.id, machine_id: machine, pid: 7 };
      return await this.execs.follow(exec, new URLSearchParams({ follow: 'true' }), response, first);
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders();
    await runProgram(body, response);
  }
}

function isAlready(machine: FakeMachine, status: string, query: URLSearchParams): boolean {
  return machine.status === status && query.get('idempotent') === 'true';
}

function hasLabel({ labels = {} }: FakeMachine, label: string): boolean {
  const [key = '', value] = label.split('=');
  const found = (labels as Record<string, string>)[key];
  return found !== undefined && (value === undefined || found === value);
}

function wrongState(verb: string, machine: FakeMachine): Refusal {
  return new Refusal(400, 'BAD_REQUEST', `Cannot ${verb} machine in '${machine.status}' state`);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
}
