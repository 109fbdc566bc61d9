import type { Static, TObject, TSchema } from 'typebox';

/** Each role includes those before it. `approver` may give data up, and may let reads move although a check refused. */
export const OPERATOR_ROLES = ['viewer', 'operator', 'approver'] as const;

export type OperatorRole = (typeof OPERATOR_ROLES)[number];

// The command line needs these two without the schemas.

/** Which entries of a ledger are listed. */
export const LEDGER_STATES = ['open', 'ended', 'all'] as const;

/** Most stored differences that are judged again under proposed rules. */
export const MOST_TRIED = 1_000;

/** One route of the operator's API. The routes, the desk, the command line and the OpenAPI document are made from it. */
export interface Endpoint {
  readonly method: 'GET' | 'POST';
  /** As Fastify takes it, such as `/v1/runs/:run`. */
  readonly path: string;
  /** One sentence for the OpenAPI document. */
  readonly summary: string;
  /** Who may call it. `open`: no token is needed. `own`: the route has a token of its own. */
  readonly caller: OperatorRole | 'open' | 'own';
  readonly params?: TObject;
  readonly query?: TObject;
  readonly body?: TObject;
  /** `handler`: the handler checks the request, with messages of its own. @defaultValue the schemas check it */
  readonly checkedBy?: 'handler';
  readonly answer: Answer;
}

/** JSON of a schema, or a document of a media type. */
type Answer = { readonly json: TSchema } | { readonly document: string };

/** A value of a schema that the receiver does not change. */
export type Read<Value> = Value extends string | number | boolean | null | undefined
  ? Value
  : Value extends object
    ? { readonly [Name in keyof Value]: Read<Value[Name]> }
    : Value;

export type Of<Schema extends TSchema> = Read<Static<Schema>>;

/** The answer of an endpoint. A document is its text. */
export type AnswerOf<E extends Endpoint> = E['answer'] extends { readonly json: infer Schema extends TSchema }
  ? Of<Schema>
  : string;

type PartOf<E extends Endpoint, Part extends 'params' | 'query' | 'body'> =
  E extends Readonly<Record<Part, infer Schema extends TObject>>
    ? Of<Schema>
    : Readonly<Record<never, never>>;

/** What the handler gets. */
export interface AskedOf<E extends Endpoint> {
  readonly params: PartOf<E, 'params'>;
  readonly query: E extends { readonly checkedBy: 'handler' }
    ? Unchecked<PartOf<E, 'query'>>
    : PartOf<E, 'query'>;
  readonly body: E extends { readonly checkedBy: 'handler' } ? unknown : PartOf<E, 'body'>;
}

/** A name that is given twice has two values. */
type Unchecked<Query> = { readonly [Name in keyof Query]?: string | readonly string[] };

/** Members that may be missing: the token can give the person, and the API names what is missing. */
type Given<Values> = { readonly [Name in keyof Values]?: Values[Name] | undefined };

/** What a client sends. */
export type CallOf<E extends Endpoint> = (E extends { readonly params: TObject }
  ? { readonly params: PartOf<E, 'params'> }
  : { readonly params?: never }) & {
  readonly query?: Given<PartOf<E, 'query'>>;
  readonly body?: Given<PartOf<E, 'body'>>;
};

/** The path of a call, with its query. */
export function addressOf<E extends Endpoint>({ path }: E, { params, query }: CallOf<E>): string {
  const given = textsOf(params);
  const filled = path.replaceAll(/:(\w+)/g, (_whole, name: string) => encodeURIComponent(given[name] ?? ''));
  const search = new URLSearchParams(textsOf(query));
  return search.size === 0 ? filled : `${filled}?${search.toString()}`;
}

/** Parameters and filters are texts, as in an address. */
function textsOf(values: object | undefined): Record<string, string> {
  const given = Object.entries(values ?? {}) as [string, string | undefined][];
  return Object.fromEntries(given.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])));
}
