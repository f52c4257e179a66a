export { expectMarbles, runMarbles, type Marble } from './expectMarbles.ts';
export { exploreMarbles, type ExploreOptions, type Exploration } from './exploreMarbles.ts';
export { readPicture } from './notation.ts';
export type { LaneRow, Mark, Picture, Row, Skip, StreamRow } from './picture.ts';
export type { MarblesOptions, Wiring } from './play.ts';
export type { Note, Rows } from './Rows.ts';
export { MarblesError, PictureError } from '../errors.ts';
