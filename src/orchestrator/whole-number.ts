import { Type } from 'typebox';

/** The longest timer of Node, in milliseconds: 24 days. */
const LONGEST_TIMER_MS = 2_147_483_647;
const LONGEST_TIMER_SECONDS = 2_147_483;

/** A count, or a time in milliseconds. */
export function whole(least: number, otherwise: number) {
  return Type.Integer({ minimum: least, maximum: LONGEST_TIMER_MS, default: otherwise });
}

/** A time in seconds. */
export function wholeSeconds(least: number, otherwise: number) {
  return Type.Integer({ minimum: least, maximum: LONGEST_TIMER_SECONDS, default: otherwise });
}

/** A size in bytes. */
export function wholeBytes(least: number, otherwise: number) {
  return Type.Integer({ minimum: least, maximum: Number.MAX_SAFE_INTEGER, default: otherwise });
}
