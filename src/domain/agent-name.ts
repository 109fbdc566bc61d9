import { isUtf8 } from 'node:buffer';

/** How an agent asks. */
export type AgentDialect = 'zmq' | 'http';

/** Who asks, as far as it is known. The name is given by the agent itself: it protects nothing. */
export interface AskingAgent {
  readonly name: string;
  readonly dialect: AgentDialect;
}

/** What a frontend knows of an agent, by falling precedence. */
interface AgentFacts {
  /** The header `crossfade-agent`. */
  readonly header?: string | undefined;
  /** The identity of its ZeroMQ socket. */
  readonly identity?: Buffer | undefined;
  /** Without the port. */
  readonly address?: string | undefined;
}

/** The header in which an agent that asks over HTTP may name itself. */
export const AGENT_HEADER = 'crossfade-agent';
const LONGEST = 128;
/** Control characters, format characters such as marks that turn the direction of text, lone surrogates, line separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu;
const MAPPED_IPV4 = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/;
const UNKNOWN = 'unknown';

/** The name under which an agent is listed and shown to flags: the first of its facts that is there. */
export function agentName({ header, identity, address }: AgentFacts): string {
  for (const given of [header, spelled(identity), address?.replace(MAPPED_IPV4, '')]) {
    const name = printableName(given ?? '');
    if (name !== '') return name;
  }
  return UNKNOWN;
}

/** A short name of characters that every terminal and page shows as they are. */
const PLAIN = /^[\w.:@-][\w .:@-]{0,126}$/;

/** A name from outside, bounded and without characters that change what a terminal or a page shows. */
export function printableName(given: string): string {
  // Nearly every name, once for each request over HTTP.
  if (PLAIN.test(given) && !given.endsWith(' ')) return given;
  // Bounded first: the rest need not look at a megabyte.
  const printable = given
    .slice(0, 2 * LONGEST)
    .replace(UNPRINTABLE, '\ufffd')
    .trim();
  return Array.from(printable).slice(0, LONGEST).join('');
}

/** An identity is any bytes: what is no text is shown as hexadecimal digits. */
function spelled(identity: Buffer | undefined): string | undefined {
  if (identity === undefined || identity.length === 0) return undefined;
  const isText = isUtf8(identity) && !/\p{Cc}/u.test(identity.toString('utf8'));
  return isText ? identity.toString('utf8') : `0x${identity.toString('hex')}`;
}
