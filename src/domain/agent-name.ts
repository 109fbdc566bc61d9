import { isUtf8 } from 'node:buffer';

/** The protocol by which an agent connects. */
export type AgentDialect = 'zmq' | 'http';

/** The caller, as far as it is known. The agent gives the name itself, so it protects nothing. */
export interface AskingAgent {
  readonly name: string;
  readonly dialect: AgentDialect;
}

/** What a frontend knows of an agent, in order of precedence. */
interface AgentFacts {
  /** The header `crossfade-agent`. */
  readonly header?: string | undefined;
  /** The identity of its ZeroMQ socket. */
  readonly identity?: Buffer | undefined;
  /** Without the port. */
  readonly address?: string | undefined;
}

/** The header by which an HTTP agent may give its name. */
export const AGENT_HEADER = 'crossfade-agent';
const LONGEST = 128;
/** Control characters, format characters such as those that change text direction, lone surrogates, line separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu;
const MAPPED_IPV4 = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/;
const UNKNOWN = 'unknown';

/** The name under which an agent is listed and passed to flags: the first known of its facts. */
export function agentName({ header, identity, address }: AgentFacts): string {
  for (const given of [header, spelled(identity), address?.replace(MAPPED_IPV4, '')]) {
    const name = printableName(given ?? '');
    if (name !== '') return name;
  }
  return UNKNOWN;
}

/** A short name of characters that every terminal and page shows as they are. */
const PLAIN = /^[\w.:@-][\w .:@-]{0,126}$/;

/** A name from outside, bounded, without characters that change how a terminal or a page shows it. */
export function printableName(given: string): string {
  // Nearly every name is plain. HTTP asks once for each request.
  if (PLAIN.test(given) && !given.endsWith(' ')) return given;
  // Bounded first: the rest need not look at a megabyte.
  const printable = given
    .slice(0, 2 * LONGEST)
    .replace(UNPRINTABLE, '\ufffd')
    .trim();
  return Array.from(printable).slice(0, LONGEST).join('');
}

/** An identity may be any bytes. If it is not text, it is shown as hexadecimal digits. */
function spelled(identity: Buffer | undefined): string | undefined {
  if (identity === undefined || identity.length === 0) return undefined;
  const isText = isUtf8(identity) && !/\p{Cc}/u.test(identity.toString('utf8'));
  return isText ? identity.toString('utf8') : `0x${identity.toString('hex')}`;
}
