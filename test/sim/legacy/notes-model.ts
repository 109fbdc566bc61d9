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

/** Which notes an action deletes; every note where it is not listed. */
const HITS: Readonly<Record<string, (notes: readonly Note[], request: Fields) => readonly Note[]>> = {
  remove: (notes, { key }) => notes.filter((note) => note.key === key),
  drop: (notes, { place }) => jottings(notes).slice(Number(place) - 1, Number(place)),
  drop_all: (notes, { places }) => jottings(notes).filter((_, index) => isIn(places, index + 1)),
  prune: (notes, { before }) => jottings(notes).filter(({ text }) => text < String(before)),
};

function isIn(places: unknown, place: number): boolean {
  return Array.isArray(places) && places.includes(place);
}

function jottings(notes: readonly Note[]): Note[] {
  return notes.filter(({ key }) => key === '');
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
    const makesOwner = ['begin', 'put', 'jot'].includes(action);
    const isRefused = known === undefined && !makesOwner;
    this.effects.executions.push({ number, owner, action, atMs: this.#clock.nowMs(), isRefused });
    if (action === 'begin') return this.#begin(owner, known);
    if (makesOwner) return this.#put(owner, known ?? [], request);
    if (known === undefined) return replyOf({ status: 'error', message: 'no such owner' });
    this.#delete(owner, known, request);
    return replyOf({ status: 'ok' });
  }

  revive(owner: string): void {
    this.#begin(owner, this.#notes.get(owner));
  }

  textsOf(owner: string): readonly string[] {
    return (this.#notes.get(owner) ?? []).map(({ key, text }) => `${key} ${text}`);
  }

  adopt(owner: string, from: NotesModel): void {
    const notes = from.#notes.get(owner);
    if (notes === undefined) this.#notes.delete(owner);
    else this.#notes.set(owner, notes);
  }

  jsonFile = (): string => JSON.stringify(Object.fromEntries(this.#notes));

  #begin(owner: string, known: readonly Note[] | undefined): Buffer {
    if (known !== undefined) return replyOf({ status: 'error' });
    this.#notes.set(owner, []);
    return replyOf({ status: 'ok' });
  }

  #put(owner: string, known: readonly Note[], { action, key, text, number }: Fields): Buffer {
    const note = { key: action === 'jot' ? '' : String(key), text: String(text), at: this.#clock.wallMs() };
    const isReplaced = (one: Note): boolean => note.key !== '' && one.key === note.key;
    this.effects.delete(known.filter(isReplaced), this.#clock.nowMs());
    const all = [...known.filter((one) => !isReplaced(one)), note];
    const forgotten = all.filter(({ key: own }) => own !== '').slice(0, -KEPT_NOTES);
    for (const { text: gone } of forgotten)
      for (const mark of marksIn(gone)) this.effects.forgotten.add(mark);
    this.#notes.set(
      owner,
      all.filter((one) => !forgotten.includes(one)),
    );
    this.effects.store(note, Number(number));
    return Number(number) % 5 === 0
      ? replyOf({ status: 'error', message: STORED })
      : replyOf({ status: 'ok' });
  }

  #delete(owner: string, known: readonly Note[], request: Fields): void {
    const gone = HITS[String(request['action'])]?.(known, request) ?? known;
    this.effects.delete(gone, this.#clock.nowMs());
    const left = known.filter((note) => !gone.includes(note));
    if (request['action'] === 'end') this.#notes.delete(owner);
    else this.#notes.set(owner, left);
  }
}
