import { isJsonObject } from '../../domain/json.ts';
import type { AnswerOf, Endpoint } from './endpoint.ts';
import type { STATUS } from './status.ts';

const ABOUT = `Every answer is JSON unless another type is given. Further members may be added to an answer.
Times are ISO-8601 UTC. Without operator.tokens the port serves this machine only, and no token is needed.`;

/** What each caller needs. */
const CALLERS: Readonly<Record<Endpoint['caller'], string>> = {
  open: 'Needs no token.',
  own: 'Needs a token of its own.',
  viewer: 'Needs a token of any role.',
  operator: 'Needs a token with the role operator or approver.',
  approver: 'Needs a token with the role approver.',
};

const ERROR = {
  type: 'object',
  required: ['error', 'message'],
  properties: {
    error: { type: 'string', description: 'a code, such as invalid_request' },
    message: { type: 'string', description: 'what failed, in words for people' },
  },
};

type OpenApi = AnswerOf<typeof STATUS.showOpenApi>;

/** The operator's API as an OpenAPI document, made from its endpoints. */
export function openApiOf(endpoints: Readonly<Record<string, Endpoint>>, version: string): OpenApi {
  const byPath = Map.groupBy(Object.entries(endpoints), ([, { path }]) =>
    path.replaceAll(/:(\w+)/g, (_whole, name: string) => `{${name}}`),
  );
  const paths = [...byPath].map(([path, operations]) => [
    path,
    Object.fromEntries(
      operations.map(([id, endpoint]) => [endpoint.method.toLowerCase(), operationOf(id, endpoint)]),
    ),
  ]);
  return {
    openapi: '3.1.0',
    info: { title: 'Crossfade, operator API', version, description: ABOUT },
    paths: Object.fromEntries(paths) as Readonly<Record<string, object>>,
    components: {
      schemas: { Error: ERROR },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function operationOf(id: string, { summary, caller, params, query, body, answer }: Endpoint): object {
  const success = 'json' in answer ? jsonOf(answer.json) : { content: { [answer.document]: {} } };
  return {
    operationId: id,
    summary,
    description: CALLERS[caller],
    security: caller === 'open' ? [] : [{ token: [] }],
    parameters: [...parametersOf('path', params), ...parametersOf('query', query)],
    ...(body !== undefined && { requestBody: { required: true, ...jsonOf(body) } }),
    responses: {
      200: { description: 'success', ...success },
      default: { description: 'refused', ...jsonOf({ $ref: '#/components/schemas/Error' }) },
    },
  };
}

function parametersOf(place: 'path' | 'query', schema: Endpoint['params']): object[] {
  if (schema === undefined) return [];
  const required: readonly string[] = schema.required ?? [];
  return Object.entries(schema.properties).map(([name, of]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: asEnum(of),
  }));
}

function jsonOf(schema: unknown): object {
  return { content: { 'application/json': { schema: asEnum(schema) } } };
}

/** The same schema, with a choice of constants written as an enumeration. */
function asEnum(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(asEnum);
  if (!isJsonObject(schema)) return schema;
  const { anyOf } = schema;
  if (Array.isArray(anyOf) && anyOf.every((one) => isJsonObject(one) && typeof one['const'] === 'string'))
    return { type: 'string', enum: anyOf.map((one: { const: string }) => one.const) };
  return Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, asEnum(value)]));
}
