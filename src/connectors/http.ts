export type { SourceCheckpoint } from '../checkpoint/checkpointedSource.ts';
export {
  ConnectionsClosedError,
  HttpBodyError,
  HttpConnectionError,
  HttpItemError,
  HttpPausedError,
  HttpStatusError,
  HttpTimeoutError,
  PackageMissingError,
  PageError,
  type HttpPhase,
  type HttpRequestFacts,
} from '../errors.ts';
export { classifyHttpError } from './http/classify.ts';
export {
  HttpConnections,
  type HttpAnswer,
  type HttpConnectionsOptions,
  type HttpContext,
  type HttpStats,
  type HttpWork,
} from './http/connections.ts';
export { fromNdjson } from './http/fromNdjson.ts';
export {
  fromPages,
  readPages,
  type FromPagesOptions,
  type Page,
  type PagedItem,
  type PagePlan,
  type ReadPagesOptions,
} from './http/fromPages.ts';
export {
  fromServerSentEvents,
  type ServerSentEvent,
  type ServerSentEventsOptions,
} from './http/fromServerSentEvents.ts';
export {
  cursorPages,
  linkPages,
  numberedPages,
  type CursorPagesOptions,
  type LinkPagesOptions,
  type NumberedPagesOptions,
} from './http/pages.ts';
export type { PageKey, PagePosition } from './http/PagePosition.ts';
export type { HttpPause } from './http/sockets.ts';
export type { HttpRequest, HttpTarget } from './http/target.ts';
export { toHttp, type ToHttpOptions } from './http/toHttp.ts';
