(* Graphs of neurons: one PDE step, a check of every declared bound, and that it is sound for any number of steps.
   Models graph/semantics.py and verify/ranges.py. *)
Require Import ZArith List Lia Bool PeanoNat.
Require Import Pisnn.Programs Pisnn.Spans Pisnn.Analysis Pisnn.Rows.
Import ListNotations.
Open Scope Z_scope.

(* What a synapse weighs: masses of holders, what neurons before this one send in this step, or what states of neurons
   were at its start. The number in a row is that of the holder or neuron. *)
Inductive place := Masses | Sent (output : nat) | States (state : nat).
Record synapse := Synapse { exponent : Z; from : place; mantissas : row }.
(* A port sums its synapses. `slopes` are ways to see its row as a sum of differences: factors and edges, by number. *)
Record port := Port { synapses : list synapse; slopes : list (list (Z * nat)) }.
(* A neuron: values have numbers, first its ports, states and parameters, then results. `own` are ranges of its
   states, which the check shows to be kept; `declared` are the ranges that values must have. *)
Record neuron := Neuron {
  ports : list port; own : list span; parameters : list Z; program : list instruction;
  after : list nat; sends : list nat; declared : list (nat * span) }.

(* One step. *)
Definition table2 {A} (l : list (list A)) (d : A) (o n : nat) : A := nth o (nth n l []) d.
Definition read (masses : nat -> Z) (states sent : list (list Z)) (p : place) : nat -> Z :=
  match p with Masses => masses | Sent o => table2 sent 0 o | States s => table2 states 0 s end.
Definition arrived (masses : nat -> Z) (states sent : list (list Z)) (p : port) : Z :=
  fold_right (fun s t => effective (exponent s) (dot (read masses states sent (from s)) (mantissas s)) + t) 0
    (synapses p).
Definition inputs (masses : nat -> Z) (states sent : list (list Z)) (n : neuron) (mine : list Z) : list Z :=
  map (arrived masses states sent) (ports n) ++ mine ++ parameters n.
Definition pick (values : list Z) (numbers : list nat) : list Z := map (fun k => nth k values 0) numbers.

(* All values of all neurons, in order; `states` are those of all neurons, `left` those of the neurons to come. *)
Fixpoint step (masses : nat -> Z) (states : list (list Z)) (neurons : list neuron) (left sent : list (list Z)) :
  list (list Z) :=
  match neurons, left with
  | n :: t, mine :: later =>
    let values := run (program n) (inputs masses states sent n mine) in
    values :: step masses states t later (sent ++ [pick values (sends n)])
  | _, _ => []
  end.
Fixpoint step_limited (masses : nat -> Z) (states : list (list Z)) (neurons : list neuron) 
  (left sent : list (list Z)) : Prop :=
  match neurons, left with
  | n :: t, mine :: later =>
    let start := inputs masses states sent n mine in
    limited (program n) start
    /\ step_limited masses states t later (sent ++ [pick (run (program n) start) (sends n)])
  | _, _ => True
  end.
Fixpoint states_after (neurons : list neuron) (values : list (list Z)) : list (list Z) :=
  match neurons, values with n :: t, v :: u => pick v (after n) :: states_after t u | _, _ => [] end.

(* The check. *)
Definition read_spans (masses : list span) (states sent : list (list span)) (p : place) : nat -> span :=
  match p with
  | Masses => fun n => nth n masses (0, 0)
  | Sent o => table2 sent (0, 0) o
  | States s => table2 states (0, 0) s
  end.
Definition place_dec : forall p q : place, {p = q} + {p <> q}.
Proof. decide equality; apply Nat.eq_dec. Defined.
Definition row_from (p : port) (from_here : place) : row :=
  flat_map (fun s => if place_dec (from s) from_here then weighed (exponent s) (mantissas s) else []) (synapses p).
Definition places (p : port) : list place := nodup place_dec (map from (synapses p)).
Definition place_span (masses : list span) (states sent : list (list span)) (p : port) (from_here : place) : span :=
  row_span (read_spans masses states sent from_here) (merged (row_from p from_here)).
Definition of_masses (s : synapse) : bool := match from s with Masses => true | _ => false end.
Definition all_weights (p : port) : row := flat_map (fun s => weighed (exponent s) (mantissas s)) (synapses p).
Definition on_edges (edges : list edge) (l : list (Z * nat)) : list (Z * edge) :=
  flat_map (fun m => match nth_error edges (snd m) with Some e => [(fst m, e)] | None => [] end) l.
Definition port_span (masses : list span) (edges : list edge) (states sent : list (list span)) (p : port) : span :=
  fold_right (fun l t => match slope_span (all_weights p) (on_edges edges l) with Some s => meet s t | None => t end)
    (fold_right (fun s t => add_span (place_span masses states sent p s) t) (0, 0) (places p))
    (if forallb of_masses (synapses p) then slopes p else []).
Definition port_allowed (p : port) : bool :=
  forallb (fun s => forallb (fun e => is_whole (exponent s) (fst e)) (mantissas s)) (synapses p).

Fixpoint described (n : nat) (l : list span) : list known :=
  match l with [] => [] | s :: t => Known s n None :: described (S n) t end.
Definition keeps (cases : list (list known)) (n : neuron) : bool :=
  Nat.eqb (length (after n)) (length (own n))
  && forallb (fun e => within (bound cases (fst e)) (snd e)) (combine (after n) (own n)).
Definition as_declared (cases : list (list known)) (n : neuron) : bool :=
  forallb (fun e => within (bound cases (fst e)) (snd e)) (declared n).

(* A range of a word that is not empty, so that nothing is accepted because its window allows no masses at all. *)
Definition reasonable (s : span) : bool := within s word && (fst s <=? snd s).

(* The ranges that a neuron sends, where its bounds hold. *)
Definition judge (masses : list span) (edges : list edge) (states sent : list (list span)) (n : neuron) :
  option (list span) :=
  let heard := map (port_span masses edges states sent) (ports n) in
  if forallb port_allowed (ports n) && forallb reasonable heard then
    match analyse (program n) (described 0 (heard ++ own n ++ map (fun z => (z, z)) (parameters n))) with
    | Some [] => None
    | Some cases => if keeps cases n && as_declared cases n then Some (map (bound cases) (sends n)) else None
    | None => None
    end
  else None.
(* The number of the first neuron whose bounds do not hold. *)
Fixpoint flaw (masses : list span) (edges : list edge) (states : list (list span)) (neurons : list neuron)
    (sent : list (list span)) : option nat :=
  match neurons with
  | [] => None
  | n :: t =>
    match judge masses edges states sent n with
    | Some s => flaw masses edges states t (sent ++ [s])
    | None => Some (length sent)
    end
  end.
Definition checked (masses : list span) (edges : list edge) (neurons : list neuron) : bool :=
  match flaw masses edges (map own neurons) neurons [] with None => true | Some _ => false end.

(* Its soundness. *)
Definition all_inside (l : list Z) (s : list span) : Prop := Forall2 inside l s.

Lemma nth_inside : forall l s n, all_inside l s -> inside (nth n l 0) (nth n s (0, 0)).
Proof.
  intros l s n H. revert n. induction H as [|v r l s I _ IH]; intros [|n]; simpl; auto; unfold inside; simpl; lia.
Qed.
Lemma table2_inside : forall l s o n, Forall2 all_inside l s -> inside (table2 l 0 o n) (table2 s (0, 0) o n).
Proof.
  intros l s o n H. unfold table2. apply nth_inside. revert n.
  induction H as [|v r l s I _ IH]; intros [|n]; simpl; auto; apply Forall2_nil.
Qed.
Lemma read_inside : forall masses states sent mass_spans own_spans sent_spans p n,
  (forall i, inside (masses i) (nth i mass_spans (0, 0))) -> Forall2 all_inside states own_spans ->
  Forall2 all_inside sent sent_spans ->
  inside (read masses states sent p n) (read_spans mass_spans own_spans sent_spans p n).
Proof. intros masses states sent ms os ss [|o|s] n M S T; cbn [read read_spans]; auto using table2_inside. Qed.

Lemma port_inside : forall masses states sent mass_spans edges own_spans sent_spans p,
  (forall i, inside (masses i) (nth i mass_spans (0, 0))) -> Forall (holds masses) edges ->
  Forall2 all_inside states own_spans -> Forall2 all_inside sent sent_spans -> port_allowed p = true ->
  inside (arrived masses states sent p) (port_span mass_spans edges own_spans sent_spans p).
Proof.
  intros masses states sent ms edges os ss p M E S T W. unfold port_allowed in W. rewrite forallb_forall in W.
  assert (Each : forall s, In s (synapses p) ->
    effective (exponent s) (dot (read masses states sent (from s)) (mantissas s))
    = dot (read masses states sent (from s)) (weighed (exponent s) (mantissas s))).
  { intros s I. apply shifted_sum. now apply W. }
  assert (Plain : inside (arrived masses states sent p)
    (fold_right (fun s t => add_span (place_span ms os ss p s) t) (0, 0) (places p))).
  { assert (Sums : arrived masses states sent p
      = sum_over (fun q => dot (read masses states sent q) (merged (row_from p q))) (places p)).
    { unfold arrived. rewrite (sum_over_ext _ _ (fun q => dot (read masses states sent q) (row_from p q)))
        by (intro; apply merged_sum).
      assert (N : NoDup (places p)) by apply NoDup_nodup.
      assert (In' : forall s, In s (synapses p) -> In (from s) (places p)) by (intros s I; apply nodup_In, in_map, I).
      unfold row_from. revert Each In' N. generalize (places p) as l. clear. intros l Each In' N.
      induction (synapses p) as [|s t IH]; cbn [fold_right flat_map]; [symmetry; apply sum_over_zero|].
      rewrite (sum_over_ext _ _ (fun q => (if place_dec (from s) q
          then dot (read masses states sent q) (weighed (exponent s) (mantissas s)) else 0)
        + dot (read masses states sent q)
            (flat_map (fun u => if place_dec (from u) q then weighed (exponent u) (mantissas u) else []) t))).
      2:{ intro q. rewrite dot_app. destruct (place_dec (from s) q); reflexivity. }
      specialize (IH (fun u I => Each u (or_intror I)) (fun u I => In' u (or_intror I))).
      rewrite sum_over_add, (sum_over_single _ place_dec _ _ _ N), <- IH, (Each s (or_introl eq_refl)).
      destruct (in_dec place_dec (from s) l) as [I|I]; [reflexivity|]. exfalso. apply I, In'. simpl; auto. }
    rewrite Sums. clear Sums. induction (places p) as [|q t IH]; simpl; [unfold inside; simpl; lia|].
    apply add_sound; [|exact IH]. apply row_sound. intro n. now apply read_inside. }
  unfold port_span. destruct (forallb of_masses (synapses p)) eqn:O; [|exact Plain].
  assert (Whole : arrived masses states sent p = dot masses (all_weights p)).
  { unfold arrived, all_weights. rewrite forallb_forall in O. revert Each O. clear.
    induction (synapses p) as [|s t IH];
      intros Each O; cbn [fold_right flat_map]; [reflexivity|].
    rewrite dot_app, (Each s (or_introl eq_refl)), IH; [|intros u I; apply Each; simpl; auto|intros u I; apply O;
      simpl; auto].
    specialize (O s (or_introl eq_refl)). unfold of_masses in O. destruct (from s); try discriminate O. reflexivity. }
  induction (slopes p) as [|l t IH]; [exact Plain|]. cbn [fold_right].
  destruct (slope_span (all_weights p) (on_edges edges l)) as [s|] eqn:Q; [|exact IH]. apply meet_inside; [|exact IH].
  rewrite Whole. apply (slope_sound _ _ _ _ Q). intros m I. unfold on_edges in I. apply in_flat_map in I as [x [_ I]].
  destruct (nth_error edges (snd x)) as [e|] eqn:N; [|destruct I]. destruct I as [<-|[]]. simpl.
  rewrite Forall_forall in E. apply E. now apply nth_error_In in N.
Qed.

Lemma described_agrees : forall values spans, all_inside values spans -> agrees values (described 0 spans).
Proof.
  assert (L : forall spans n, length (described n spans) = length spans) by (induction spans; simpl; auto).
  intros values spans H. split; [rewrite L; induction H; simpl; auto|]. intros k v e V D. rewrite L.
  assert (G : forall n l s, all_inside l s -> forall k v e, nth_error l k = Some v ->
    nth_error (described n s) k = Some e ->
    inside v (range e) /\ twin e = (n + k)%nat /\ terms e = None).
  { clear. intros n l s H. revert n. induction H as [|x r l s I _ IH]; intros n [|k] v e V D; simpl in *;
    try discriminate.
    - injection V as <-. injection D as <-. simpl. auto.
    - destruct (IH (S n) k v e V D) as [P [Q R]]. rewrite Q. split; [exact P|split; [lia|exact R]]. }
  destruct (G 0%nat values spans H k v e V D) as [P [Q R]]. unfold describes. rewrite Q, R. simpl. auto.
Qed.

Lemma pick_inside : forall cases c values numbers, In c cases -> agrees values c ->
  all_inside (pick values numbers) (map (bound cases) numbers).
Proof.
  intros cases c values numbers I A. unfold pick, all_inside. induction numbers as [|k t IH]; simpl; constructor;
    auto.
  now apply (bound_sound cases c).
Qed.

Definition good (n : neuron) (values : list Z) : Prop :=
  (forall k s, In (k, s) (declared n) -> inside (nth k values 0) s) /\ all_inside (pick values (after n)) (own n).

Lemma judge_sound : forall masses states sent mass_spans edges own_spans sent_spans n mine spans,
  (forall i, inside (masses i) (nth i mass_spans (0, 0))) -> Forall (holds masses) edges ->
  Forall2 all_inside states own_spans -> Forall2 all_inside sent sent_spans -> all_inside mine (own n) ->
  judge mass_spans edges own_spans sent_spans n = Some spans ->
  limited (program n) (inputs masses states sent n mine) ->
  let values := run (program n) (inputs masses states sent n mine) in
  good n values /\ all_inside (pick values (sends n)) spans.
Proof.
  intros masses states sent ms edges os ss n mine spans M E S T O J L values. unfold judge in J.
  set (heard := map (port_span ms edges os ss) (ports n)) in *.
  destruct (forallb port_allowed (ports n) && forallb reasonable heard) eqn:W; [|discriminate J].
  apply andb_true_iff in W as [W _]. rewrite forallb_forall in W.
  destruct (analyse (program n) _) as [[|case others]|] eqn:A; [discriminate J| |discriminate J].
  set (cases := case :: others) in *.
  destruct (keeps cases n && as_declared cases n) eqn:K; [|discriminate J]. injection J as <-.
  apply andb_true_iff in K as [K D].
  destruct (analyse_sound _ (inputs masses states sent n mine) _ _ A) as [c [C R]]; [|assumption|].
  { apply described_agrees. unfold inputs, all_inside. apply Forall2_app; [|apply Forall2_app; [exact O|]].
    - subst heard. clear A. induction (ports n) as [|p t IH]; simpl; constructor.
      + apply port_inside; auto. apply W. simpl; auto.
      + apply IH. intros q I. apply W. simpl; auto.
    - clear. induction (parameters n); simpl; constructor; auto. unfold inside; simpl; lia. }
  fold values in R. split; [split|].
  - intros k s I. unfold as_declared in D. rewrite forallb_forall in D. apply (within_inside _ _ _ (D (k, s) I)).
    now apply (bound_sound cases c).
  - unfold keeps in K. apply andb_true_iff in K as [Len K]. apply Nat.eqb_eq in Len. unfold pick, all_inside.
      clear - Len K C R.
    revert Len K. generalize (own n) as o. induction (after n) as [|k t IH]; intros [|s o] Len K; simpl in *;
      try discriminate; constructor.
    + apply andb_true_iff in K as [K _]. apply (within_inside _ _ _ K). now apply (bound_sound cases c).
    + apply andb_true_iff in K as [_ K]. apply IH; [now injection Len|assumption].
  - now apply (pick_inside cases c).
Qed.

(* In a step whose masses, differences and limits are as an audit requires, every value keeps to its bound. *)
Lemma step_sound : forall masses states mass_spans edges own_spans,
  (forall i, inside (masses i) (nth i mass_spans (0, 0))) -> Forall (holds masses) edges ->
  Forall2 all_inside states own_spans ->
  forall neurons left sent sent_spans, Forall2 all_inside left (map own neurons) ->
    Forall2 all_inside sent sent_spans ->
  flaw mass_spans edges own_spans neurons sent_spans = None -> step_limited masses states neurons left sent ->
  Forall2 good neurons (step masses states neurons left sent).
Proof.
  intros masses states ms edges os M E S. induction neurons as [|n t IH]; intros left sent ss L T F G; [constructor|].
  destruct left as [|mine later]; inversion L as [|? ? ? ? O L']; subst. simpl in *.
  destruct (judge ms edges os ss n) as [spans|] eqn:J; [|discriminate F]. destruct G as [G H].
  destruct (judge_sound masses states sent ms edges os ss n mine spans M E S T O J G) as [P Q].
  constructor; [exact P|]. apply (IH later _ (ss ++ [spans]) L'); [|assumption|assumption].
  apply Forall2_app; [assumption|]. constructor; [exact Q|constructor].
Qed.

Lemma states_after_inside : forall neurons values, Forall2 good neurons values ->
  Forall2 all_inside (states_after neurons values) (map own neurons).
Proof. intros neurons values H. induction H as [|n v t u [_ G] _ IH]; simpl; constructor; auto. Qed.

(* A run: masses of any number of steps, whatever made them. *)
Fixpoint every_step (P : list (list Z) -> Prop) (neurons : list neuron) (states : list (list Z))
    (steps : list (nat -> Z)) : Prop :=
  match steps with
  | [] => True
  | m :: t => let values := step m states neurons states [] in P values /\ every_step P neurons (states_after
    neurons values) t
  end.
Fixpoint every_limit (neurons : list neuron) (states : list (list Z)) (steps : list (nat -> Z)) : Prop :=
  match steps with
  | [] => True
  | m :: t => step_limited m states neurons states [] /\
      every_limit neurons (states_after neurons (step m states neurons states [])) t
  end.

(* While masses and differences stay in their window and limits hold, every value of every neuron keeps to its
   declared bound in every step of a run of any length, from any states within their ranges. *)
Theorem bounds_hold : forall mass_spans edges neurons, checked mass_spans edges neurons = true ->
  forall steps states, Forall2 all_inside states (map own neurons) ->
  Forall (fun m => (forall i, inside (m i) (nth i mass_spans (0, 0))) /\ Forall (holds m) edges) steps ->
  every_limit neurons states steps ->
  every_step (fun values => Forall2 good neurons values) neurons states steps.
Proof.
  intros ms edges neurons C. unfold checked in C. destruct (flaw ms edges (map own neurons) neurons []) eqn:F;
    [discriminate C|].
  induction steps as [|m t IH]; intros states S A L; [exact Logic.I|]. inversion A as [|? ? [M E] A']; subst.
  destruct L as [L L']. cbn [every_step].
  assert (G : Forall2 good neurons (step m states neurons states [])).
  { apply (step_sound m states ms edges (map own neurons) M E S neurons states [] []); auto. }
  split; [exact G|]. apply IH; auto. now apply states_after_inside.
Qed.

(* Starts of states, and widths: a bound of so many signed bits. *)
Definition begins (neurons : list neuron) (starts : list (list Z)) : bool :=
  Nat.eqb (length starts) (length neurons)
  && forallb (fun e => Nat.eqb (length (snd e)) (length (own (fst e)))
       && forallb (fun p => within (fst p, fst p) (snd p)) (combine (snd e) (own (fst e)))) (combine neurons starts).
Definition fits (bits : Z) (s : span) : bool := (1 <=? bits) && within s (- 2 ^ (bits - 1), 2 ^ (bits - 1) - 1).

Lemma combined_inside : forall l s, length l = length s ->
  forallb (fun p => within (fst p, fst p) (snd p)) (combine l s) = true -> all_inside l s.
Proof.
  induction l as [|z l IH]; intros [|s t] L H; simpl in *; try discriminate; constructor.
  - apply andb_true_iff in H as [H _]. apply (within_inside _ _ _ H). unfold inside; simpl; lia.
  - apply andb_true_iff in H as [_ H]. apply IH; [now injection L|assumption].
Qed.
Lemma begins_sound : forall neurons starts, begins neurons starts = true ->
  Forall2 all_inside starts (map own neurons).
Proof.
  unfold begins. induction neurons as [|n t IH]; intros [|s u] H; try discriminate H; [constructor|].
  apply andb_true_iff in H as [L H]. cbn [combine forallb fst snd] in H. apply andb_true_iff in H as [H T].
  apply andb_true_iff in H as [M H]. cbn [map]. constructor.
  - apply Nat.eqb_eq in M. now apply combined_inside.
  - apply IH. apply andb_true_iff. split; [|exact T]. exact L.
Qed.
Lemma fits_sound : forall bits s v, fits bits s = true -> inside v s -> - 2 ^ (bits - 1) <= v < 2 ^ (bits - 1).
Proof.
  intros bits s v F I. unfold fits in F. apply andb_true_iff in F as [_ F].
  pose proof (within_inside v _ _ F I) as J. unfold inside in J. cbn [fst snd] in J. lia.
Qed.
