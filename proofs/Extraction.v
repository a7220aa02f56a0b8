(* The checker as OCaml. Numbers stay the inductive ones of the proofs: no arithmetic of OCaml takes their place. *)
Require Import ZArith List.
Require Import Pisnn.Programs Pisnn.Spans Pisnn.Analysis Pisnn.Rows Pisnn.Conservation Pisnn.Limiter Pisnn.Graphs
  Pisnn.Artifact.
Require Import ExtrOcamlBasic.
Require Extraction.
Extraction Language OCaml.
Extraction "checker.ml" accepts adds joined wide_enough bounded flaw reasonable begins step pick run analyse bound described kept passed
  Z.div_eucl Z.mul Z.add Z.opp.
