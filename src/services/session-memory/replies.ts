import type { Message } from '../../domain/request.ts';
import { respell, spellText } from '../python-spelling.ts';

/** The id that the service repeats at the end of each reply, as JSON text. */
export function requestIdOf(request: Message): string {
  const id = request.fields['request_id'];
  // Most are plain text, so the request need not be cut into its members.
  if (typeof id === 'string') return spellText(id);
  const raw = request.raw['request_id'];
  return raw === undefined ? '""' : respell(raw);
}

/** The service's reply. `members` is JSON text between the status and the id of the request. */
export function replyTo(request: Message, status: 'success' | 'error', members = ''): string {
  return `{"status": "${status}", ${members}"request_id": ${requestIdOf(request)}}`;
}
