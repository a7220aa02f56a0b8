(* What the extracted checker accepts, and what acceptance means. *)
Require Import ZArith List Lia Bool PeanoNat.
Require Import Pisnn.Programs Pisnn.Spans Pisnn.Rows Pisnn.Conservation Pisnn.Graphs.
Import ListNotations.
Open Scope Z_scope.

(* The plain form of an artifact: holders with the ranges of their masses, what an audit requires of neighbours,
   neurons in order, starts of their states, declared bounds with their bits, ranges and the declared bounds that must
   cover them, and the route of packets. *)
Record artifact := Artifact {
  masses : list span; edges : list edge; neurons : list neuron; starts : list (list Z); widths : list (span * Z);
  covered : list (span * span);
  holders : list (list instruction); route : list (list (Z * row)); ends : list (nat * nat); sets : list nat }.

Definition rows_of (a : artifact) : list row := map (flat_map (fun s => weighed (fst s) (snd s))) (route a).
Definition adds (a : artifact) : bool :=
  Nat.eqb (length (holders a)) (length (route a)) && forallb only_adds (holders a)
  && forallb (forallb (fun s => forallb (fun e => is_whole (fst s) (fst e)) (snd s))) (route a).
Definition joined (a : artifact) : bool := routed (rows_of a) (ends a) (sets a).
Definition bounded (a : artifact) : bool :=
  forallb reasonable (masses a) && (checked (masses a) (edges a) (neurons a) && begins (neurons a) (starts a)).
Definition wide_enough (a : artifact) : bool :=
  forallb (fun w => fits (snd w) (fst w)) (widths a) && forallb (fun c => within (fst c) (snd c)) (covered a).
Definition accepts (a : artifact) : bool := adds a && joined a && bounded a && wide_enough a.

(* What each holder makes of its mass and the packets of a step, by its own program and its own synapses. *)
Definition held_after (a : artifact) (mass packets : nat -> Z) (h : nat) : Z :=
  let heard := fold_right (fun s t => effective (fst s) (dot packets (snd s)) + t) 0 (nth h (route a) []) in
  nth 2 (run (nth h (holders a) []) [heard; mass h]) 0.
Fixpoint held (a : artifact) (mass : nat -> Z) (packets : list (nat -> Z)) : nat -> Z :=
  match packets with [] => mass | k :: later => held a (held_after a mass k) later end.

Lemma held_after_moves : forall a mass packets h, adds a = true -> (h < length (route a))%nat ->
  held_after a mass packets h = moved_masses (rows_of a) mass packets h.
Proof.
  intros a mass packets h A L. unfold adds in A. apply andb_true_iff in A as [A W]. apply andb_true_iff in A as [N A].
  apply Nat.eqb_eq in N. rewrite forallb_forall in A, W. unfold held_after, moved_masses.
  rewrite only_adds_sound by (apply A, nth_In; lia). f_equal. unfold rows_of.
  change (@nil (Z * nat)) with (flat_map (fun s : Z * row => weighed (fst s) (snd s)) []). rewrite map_nth.
  specialize (W _ (nth_In _ [] L)). rewrite forallb_forall in W. revert W.
    induction (nth h (route a) []) as [|s t IH];
    intro W; cbn [fold_right flat_map]; [reflexivity|].
  rewrite dot_app, shifted_sum, IH; [reflexivity|intros; apply W; simpl; auto|apply W; simpl; auto].
Qed.

(* Acceptance, first half: in any number of steps with any packets, each joined set of holders keeps its sum. *)
Theorem accepted_conserves : forall a mass packets s, accepts a = true ->
  sum_in (rows_of a) (sets a) s (held a mass packets) = sum_in (rows_of a) (sets a) s mass.
Proof.
  intros a mass packets s A. unfold accepts in A. apply andb_true_iff in A as [A _].
    apply andb_true_iff in A as [A _].
  apply andb_true_iff in A as [A J]. revert mass. induction packets as [|k later IH]; intro mass; [reflexivity|].
  cbn [held]. rewrite IH, <- (conserves (rows_of a) (ends a) (sets a) [k] mass s J). unfold sum_in. apply total_ext.
  intros h L. cbn [masses_after]. rewrite held_after_moves; [reflexivity|assumption|]. unfold rows_of in L.
  now rewrite map_length in L.
Qed.

(* Second half: while the audit finds masses, differences and limits within their bounds, every value of every neuron
   is within its declared bound in every step of a run of any length from the stored starts. *)
Theorem accepted_bounds_hold : forall a steps, accepts a = true ->
  Forall (fun m => (forall i, inside (m i) (nth i (masses a) (0, 0))) /\ Forall (holds m) (edges a)) steps ->
  every_limit (neurons a) (starts a) steps ->
  every_step (fun values => Forall2 good (neurons a) values) (neurons a) (starts a) steps.
Proof.
  intros a steps A. unfold accepts, bounded in A. repeat rewrite andb_true_iff in A. destruct A as [[_ [_ [C B]]] _].
  intros M L. exact (bounds_hold (masses a) (edges a) (neurons a) C steps (starts a) (begins_sound _ _ B) M L).
Qed.

(* And every bound fits the bits that are declared for it. *)
Theorem accepted_widths_hold : forall a s bits v, accepts a = true -> In (s, bits) (widths a) -> inside v s ->
  - 2 ^ (bits - 1) <= v < 2 ^ (bits - 1).
Proof.
  intros a s bits v A I. unfold accepts in A. apply andb_true_iff in A as [_ W]. unfold wide_enough in W.
  apply andb_true_iff in W as [W _].
  rewrite forallb_forall in W. apply fits_sound. exact (W (s, bits) I).
Qed.
