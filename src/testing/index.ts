export { expectMarbles, runMarbles } from './expectMarbles.ts';
export type { Marble, MarblesOptions, Wiring } from './Marble.ts';
export { exploreMarbles, type ExploreOptions, type Exploration } from './exploreMarbles.ts';
export { readPicture } from './notation.ts';
export type { LaneRow, Mark, Picture, Row, Skip, StreamRow } from './picture.ts';
export type { Note, Rows } from './Rows.ts';
export { MarblesError, PackageMissingError, PictureError } from '../errors.ts';
export * from './laws/index.ts';
