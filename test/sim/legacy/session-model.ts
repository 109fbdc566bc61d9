import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import {
  Effects,
  fieldsOf,
  marksIn,
  replyOf,
  type Fields,
  type LegacyModel,
  type ModelClock,
} from './effects.ts';

const IDLE_MS = 3_600_000;
/** More than nine tenths of the hundred that the service keeps. */
const OTHERS = 95;

interface Interaction {
  readonly id: number;
  readonly session: string;
  readonly timestamp: string;
  readonly role: string;
  readonly content: string;
  readonly atMs: number;
}

interface Session {
  readonly place: number;
  readonly createdAt: string;
  /** By the wall clock of the service. */
  readonly madeMs: number;
  readonly atMs: number;
}

type Row = Readonly<Record<string, unknown>>;

/** SessionMemoryAgent: sessions that must be made first, and what was said in them; its failures name no reason. */
export class SessionModel implements LegacyModel {
  readonly definition = sessionMemory;
  readonly effects = new Effects();
  readonly locksRows = true;
  readonly #clock: ModelClock;
  readonly #sessions = new Map<string, Session>();
  /** Sessions that were lost whole: as long as they would not have been forgotten, they are no others'. */
  #lostSessions: { readonly owner: string; readonly madeMs: number }[] = [];
  /** When the sessions of agents that no run looks at were made. */
  #othersMs: number;
  #lastPlace = 0;
  #interactions: Interaction[] = [];
  #lastId = 0;

  constructor(clock: ModelClock) {
    this.#clock = clock;
    this.#othersMs = clock.wallMs() - IDLE_MS / 2;
  }

  execute(body: Buffer): Buffer {
    const request = fieldsOf(body);
    const owner = String(request['session_id']);
    const action = String(request['action']);
    const request_id = request['request_id'] ?? '';
    if (action === 'get_context') return replyOf({ ...this.#context(owner), request_id });
    if (!Object.hasOwn(WRITES, action)) return replyOf({ status: 'ok' });
    const isDone = this.#write(action, owner, request);
    this.effects.executions.push({
      number: Number(request['number']),
      owner,
      action,
      atMs: this.#clock.nowMs(),
      isRefused: !isDone,
    });
    return replyOf({ status: isDone ? 'success' : 'error', request_id });
  }

  #write(action: string, owner: string, request: Fields): boolean {
    if (action === 'create_session') return this.#create(owner);
    if (action === 'add_interaction') return this.#add(owner, request);
    this.#clear(owner);
    if (action === 'delete_session') this.#sessions.delete(owner);
    return true;
  }

  /** Sessions that were made an hour ago are deleted, however much they are used. */
  cleanUp(concerns: (owner: string) => boolean): void {
    const isOld = (madeMs: number): boolean => this.#clock.wallMs() - madeMs >= IDLE_MS;
    for (const [owner, { madeMs }] of this.#sessions)
      if (isOld(madeMs) && concerns(owner)) this.#forget(owner);
    for (const { owner } of this.#lostSessions.filter(({ madeMs }) => isOld(madeMs))) this.#forgetLost(owner);
    this.#lostSessions = this.#lostSessions.filter(({ madeMs }) => !isOld(madeMs));
    if (isOld(this.#othersMs)) this.#othersMs = this.#clock.wallMs() - IDLE_MS / 2;
  }

  crowd(concerns: (owner: string) => boolean): void {
    this.#othersMs = this.#clock.wallMs();
    for (const owner of this.#sessions.keys()) if (concerns(owner)) this.#forget(owner);
    for (const { owner } of this.#lostSessions) this.#forgetLost(owner);
    this.#lostSessions = [];
  }

  loseSince(ms: number, concerns: (owner: string) => boolean): void {
    for (const [owner, { atMs, madeMs }] of this.#sessions) {
      if (atMs < ms || !concerns(owner)) continue;
      this.#sessions.delete(owner);
      this.#lostSessions.push({ owner, madeMs });
    }
    const left = this.#interactions.filter(
      ({ atMs, session }) => !concerns(session) || (atMs < ms && this.#sessions.has(session)),
    );
    const textsOf = (owner: string, list: readonly Interaction[]): number[] =>
      marksIn(list.flatMap(({ session, content }) => (session === owner ? [content] : [])).join(' '));
    const gone = this.#interactions.filter((one) => !left.includes(one));
    for (const owner of new Set(gone.map(({ session }) => session)))
      this.effects.lose(owner, textsOf(owner, gone), textsOf(owner, left));
    this.#interactions = left;
  }

  revive(owner: string): void {
    this.#create(owner);
  }

  textsOf(owner: string): readonly string[] {
    return this.#interactions.filter(({ session }) => session === owner).map(({ content }) => content);
  }

  adopt(owner: string, from: SessionModel): void {
    this.#interactions = [
      ...this.#interactions.filter(({ session }) => session !== owner),
      ...from.#interactions.filter(({ session }) => session === owner),
    ];
    const session = from.#sessions.get(owner);
    if (session === undefined) this.#sessions.delete(owner);
    else this.#sessions.set(owner, session);
  }

  /** What it lost it would have forgotten by now, also an owner without items. */
  #forgetLost(owner: string): void {
    this.effects.goneOwners.add(owner);
    for (const [number, of] of this.effects.lost) if (of === owner) this.effects.forgotten.add(number);
  }

  #forget(owner: string): void {
    for (const { session, content } of this.#interactions)
      if (session === owner) for (const number of marksIn(content)) this.effects.forgotten.add(number);
    this.#interactions = this.#interactions.filter(({ session }) => session !== owner);
    this.#sessions.delete(owner);
    this.#forgetLost(owner);
  }

  sqlite = (sql: string, [owner = '']: readonly string[]): readonly Row[] => {
    if (sql.startsWith('select rowid as place, session_id from sessions'))
      return [...this.#sessions]
        .filter(([, { place }]) => place > Number(owner))
        .map(([session_id, { place }]) => ({ place, session_id }));
    if (sql.startsWith('select user_id, created_at'))
      return this.#known(owner).map(({ createdAt }) => ({
        user_id: 'agent',
        created_at: createdAt,
        metadata: '{}',
      }));
    if (sql.startsWith('select (select min(id)')) return [this.#idsBetween()];
    if (sql.startsWith('select id, timestamp, role'))
      return this.#interactions
        .filter(({ session }) => session === owner)
        .map((row) => ({ ...row, metadata: '{}' }));
    return this.#ofMany(sql, owner);
  };

  /** @param list the owners, as JSON */
  #ofMany(sql: string, list: string): readonly Row[] {
    if (sql.startsWith('select session_id, user_id'))
      return ownersIn(list).flatMap((session_id) =>
        this.#known(session_id).map(({ createdAt }) => ({
          session_id,
          user_id: 'agent',
          created_at: createdAt,
          metadata: '{}',
        })),
      );
    if (sql.startsWith('select id, session_id')) {
      const owners = new Set(ownersIn(list));
      return this.#interactions
        .filter(({ session }) => owners.has(session))
        .map((row) => ({ ...row, session_id: row.session, metadata: '{}' }));
    }
    if (sql.startsWith('select count(*) as held')) return this.#around(list);
    throw new Error(`The simulated SQLite file does not know: ${sql}`);
  }

  /** Those of an adopted session are not in order. */
  #idsBetween(): Row {
    const ids = this.#interactions.map(({ id }) => id);
    return ids.length === 0
      ? { first: null, last: null }
      : { first: Math.min(...ids), last: Math.max(...ids) };
  }

  #around(localTime: string): readonly Row[] {
    const times = [...this.#sessions.values()].map(({ madeMs }) => localTimeOf(madeMs));
    const others = Array.from({ length: OTHERS }, () => localTimeOf(this.#othersMs));
    const all = [...times, ...others];
    return [{ held: all.length, before: all.filter((time) => time < localTime).length }];
  }

  #known(owner: string): readonly { readonly createdAt: string }[] {
    const session = this.#sessions.get(owner);
    return session === undefined ? [] : [session];
  }

  #now(): string {
    return localTimeOf(this.#clock.wallMs());
  }

  #create(owner: string): boolean {
    if (this.#sessions.has(owner)) return false;
    this.#lastPlace += 1;
    const [place, createdAt] = [this.#lastPlace, this.#now()];
    this.#sessions.set(owner, { place, createdAt, madeMs: this.#clock.wallMs(), atMs: this.#clock.nowMs() });
    return true;
  }

  #add(owner: string, { role, content, number }: Fields): boolean {
    const session = this.#sessions.get(owner);
    if (session === undefined) return false;
    this.#lastId += 1;
    const interaction = {
      id: this.#lastId,
      session: owner,
      timestamp: this.#now(),
      role: String(role),
      content: String(content),
      atMs: this.#clock.nowMs(),
    };
    this.#interactions.push(interaction);
    this.effects.store(interaction, Number(number));
    return true;
  }

  #clear(owner: string): void {
    const gone = this.#interactions.filter(({ session }) => session === owner);
    this.effects.delete(gone, this.#clock.nowMs());
    this.#interactions = this.#interactions.filter(({ session }) => session !== owner);
  }

  #context(owner: string): object {
    const own = this.#interactions.filter(({ session }) => session === owner);
    return {
      status: 'success',
      context: own.map(({ role, content, timestamp }) => ({ role, content, timestamp })),
    };
  }
}

const WRITES = { create_session: true, add_interaction: true, clear_session: true, delete_session: true };

function localTimeOf(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000');
}

/** What `json_each` makes of a list of them. */
function ownersIn(list: string): readonly string[] {
  return JSON.parse(list) as string[];
}
