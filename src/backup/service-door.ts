import type { Message } from '../domain/request.ts';
import type { LegacyAccess } from '../domain/service-definition.ts';

/** Reads through the service itself; only for services that reading does not change. */
export function doorToService(access: LegacyAccess): LegacyAccess {
  return access.call === undefined ? {} : { call: async (text) => asked(access, text) };
}

/** @throws Error if the service cannot be read, or does not answer */
export async function asked(access: LegacyAccess, text: string): Promise<Message> {
  const reply = await access.call?.(text);
  if (reply === undefined) throw new Error('the service cannot be read');
  return reply;
}
