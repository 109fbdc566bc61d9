import {
  Effects,
  fieldsOf,
  marksIn,
  replyOf,
  type Fields,
  type LegacyModel,
  type ModelClock,
} from './effects.ts';
import { KEPT_NOTES, notes, STORED } from './notes-service.ts';

interface Note {
  readonly key: string;
  readonly text: string;
  readonly at: number;
}

/** The store behind `notes-service.ts`. It forgets silently, and some of its successes are errors. */
export class NotesModel implements LegacyModel {
  readonly definition = notes;
  readonly effects = new Effects();
  readonly #clock: ModelClock;
  readonly #notes = new Map<string, readonly Note[]>();

  constructor(clock: ModelClock) {
    this.#clock = clock;
  }

  execute(body: Buffer): Buffer {
    const request = fieldsOf(body);
    const owner = String(request['owner']);
    const action = String(request['action']);
    const known = this.#notes.get(owner);
    if (action === 'health_check') return replyOf({ status: 'ok' });
    if (action === 'list') return replyOf({ status: 'ok', notes: known ?? [] });
    const number = Number(request['number']);
    this.effects.executions.push({ number, owner, action, atMs: this.#clock.nowMs() });
    if (action === 'begin') return this.#begin(owner, known);
    if (action === 'put') return this.#put(owner, known ?? [], request);
    if (known === undefined) return replyOf({ status: 'error', message: 'no such owner' });
    this.#delete(owner, known, request);
    return replyOf({ status: 'ok' });
  }

  jsonFile = (): string => JSON.stringify(Object.fromEntries(this.#notes));

  #begin(owner: string, known: readonly Note[] | undefined): Buffer {
    if (known !== undefined) return replyOf({ status: 'error' });
    this.#notes.set(owner, []);
    return replyOf({ status: 'ok' });
  }

  #put(owner: string, known: readonly Note[], { key, text, number }: Fields): Buffer {
    const note = { key: String(key), text: String(text), at: this.#clock.wallMs() };
    this.#drop(
      known.filter((one) => one.key === note.key),
      this.effects.deletedAtMs,
    );
    const all = [...known.filter((one) => one.key !== note.key), note];
    for (const gone of all.slice(0, -KEPT_NOTES))
      for (const mark of marksIn(gone.text)) this.effects.forgotten.add(mark);
    this.#notes.set(owner, all.slice(-KEPT_NOTES));
    this.effects.stored.add(Number(number));
    return Number(number) % 5 === 0
      ? replyOf({ status: 'error', message: STORED })
      : replyOf({ status: 'ok' });
  }

  #delete(owner: string, known: readonly Note[], { action, key }: Fields): void {
    const isHit = (note: Note): boolean => action !== 'remove' || note.key === key;
    this.#drop(known.filter(isHit), this.effects.deletedAtMs);
    if (action === 'end') this.#notes.delete(owner);
    else
      this.#notes.set(
        owner,
        known.filter((note) => !isHit(note)),
      );
  }

  #drop(gone: readonly Note[], at: Map<number, number>): void {
    for (const { text } of gone) for (const mark of marksIn(text)) at.set(mark, this.#clock.nowMs());
  }
}
