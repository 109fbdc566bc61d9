import { parseOwner, type Owner } from '../domain/ids.ts';
import { RunRefused } from '../engine/runs/run-commands.ts';
import { Refusal } from './refusal.ts';
import { MISSING } from './routes/serve.ts';

const LONGEST_WORDS = 500;

/** The name that the caller knows. */
export async function said<Answer>(answer: () => Promise<Answer>): Promise<Answer> {
  try {
    return await answer();
  } catch (error) {
    if (!(error instanceof RunRefused)) throw error;
    throw new Refusal(error.code === 'not_found' ? 404 : 409, error.code, error.message);
  }
}

export function memberOf(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
}

/** Undefined if the body has no such member. @throws Refusal */
export function textOf(body: unknown, name: string): string | undefined {
  const value = memberOf(body, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.trim() === '' || value.length > LONGEST_WORDS)
    throw new Refusal(400, 'invalid_request', `${name} must be a text of 1 to ${LONGEST_WORDS} characters`);
  if (value.includes('\u0000') || !value.isWellFormed())
    throw new Refusal(400, 'invalid_request', `${name} contains characters that cannot be stored`);
  return value.trim();
}

/** @throws Refusal */
export function requiredText(body: unknown, name: string): string {
  const text = textOf(body, name);
  if (text === undefined) throw new Refusal(400, 'invalid_request', MISSING[name] ?? `${name} is required`);
  return text;
}

/** The person who makes a change, and the reason. With a token the name is the token's. @throws Refusal */
export function responsibleOf(body: unknown): { readonly person: string; readonly reason: string } {
  return { person: requiredText(body, 'person'), reason: requiredText(body, 'reason') };
}

/** @throws Refusal */
export function ownerOf(text: string): Owner {
  const owner = parseOwner(text);
  if (owner === undefined) throw new Refusal(400, 'invalid_request', 'invalid owner');
  return owner;
}

/**
 * The owner unchanged, because one with spaces at its ends is a different owner. Undefined if the body names none. @throws
 * Refusal
 */
export function ownerIn(body: unknown): Owner | undefined {
  const owner = memberOf(body, 'owner');
  return owner === undefined ? undefined : ownerOf(typeof owner === 'string' ? owner : '');
}

/** @throws Refusal */
export function numberOf(value: unknown, name: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Refusal(400, 'invalid_request', `${name} must be a whole number of at least 1`);
  return number;
}
