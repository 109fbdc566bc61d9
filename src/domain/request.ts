import { isUtf8 } from 'node:buffer';
import {
  hasLoneSurrogate,
  hasMoreValuesThan,
  isDeeperThan,
  isJsonObject,
  parseTolerantly,
  rawMembers,
  type JsonObject,
} from './json.ts';

/** Where an HTTP request was sent to. Absent for ZMQ. */
export interface HttpTarget {
  readonly method: string;
  /** Path and query as the service gets them, without the prefix under which it is served. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** JSON text with its parsed members, and with its members as raw text where the spelling matters. */
export class Message {
  readonly text: string;
  readonly fields: JsonObject;
  #raw: Readonly<Record<string, string>> | undefined;

  constructor(text: string, fields: JsonObject) {
    this.text = text;
    this.fields = fields;
  }

  /** Each member's raw JSON text. Cut on first use. */
  get raw(): Readonly<Record<string, string>> {
    this.#raw ??= rawMembers(this.text);
    return this.#raw;
  }
}

/** Why a request cannot be passed on. These requests would wedge or corrupt a legacy service. */
export type BadInput =
  | 'empty'
  | 'several_frames'
  | 'too_large'
  | 'not_utf8'
  | 'invalid_json'
  | 'not_an_object'
  | 'too_deep'
  | 'too_many_values'
  | 'lone_surrogate';

export interface MessageLimits {
  /** @defaultValue 4 MiB */
  readonly messageBytes: number;
  /** @defaultValue 500 */
  readonly jsonDepth: number;
  /** Numbers, texts, lists and objects in one message. @defaultValue limited only by the message size */
  readonly jsonValues?: number | undefined;
}

export type ParsedRequest =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly problem: BadInput; readonly detail: string };

function bad(problem: BadInput, detail: string): ParsedRequest {
  return { ok: false, problem, detail };
}

/** Checks and parses a request body once. Never throws: bad input is a value. */
export function parseRequest(body: Buffer, limits: MessageLimits): ParsedRequest {
  if (body.length === 0) return bad('empty', 'the message is empty');
  if (body.length > limits.messageBytes) {
    return bad('too_large', `the message has ${body.length} bytes, the limit is ${limits.messageBytes}`);
  }
  if (!isUtf8(body)) return bad('not_utf8', 'the message is not UTF-8');
  return parseText(body.toString('utf8'), limits);
}

function parseText(text: string, limits: MessageLimits): ParsedRequest {
  const { jsonValues = Number.MAX_SAFE_INTEGER } = limits;
  if (hasMoreValuesThan(text, jsonValues))
    return bad('too_many_values', `the message holds more than ${jsonValues} JSON values`);
  if (isDeeperThan(text, limits.jsonDepth))
    return bad('too_deep', `the message is nested deeper than ${limits.jsonDepth} levels`);
  let value: unknown;
  try {
    value = parseTolerantly(text);
  } catch {
    return bad('invalid_json', 'the message is not valid JSON');
  }
  if (!isJsonObject(value)) return bad('not_an_object', 'the message must be a JSON object');
  if (hasLoneSurrogate(text)) return bad('lone_surrogate', 'the message holds half of a surrogate pair');
  return { ok: true, message: new Message(text, value) };
}

const NO_FIELDS: JsonObject = {};

/** A backend's reply as a message. */
export function readReply(body: Buffer): Message {
  return readText(body.toString('utf8'));
}

/**
 * Reads text that was checked before, or that comes from a backend. A text that is not an object (digital twins answer `null`)
 * has no fields.
 */
export function readText(text: string): Message {
  try {
    const value = parseTolerantly(text);
    return new Message(text, isJsonObject(value) ? value : NO_FIELDS);
  } catch {
    return new Message(text, NO_FIELDS);
  }
}
