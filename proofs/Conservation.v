(* Conservation: whatever programs channels have, holders that only add arrivals conserve.
   Models graph/shape.py, verify/conservation.py and the low limbs of graph/residues.py. *)
Require Import ZArith List Lia Bool PeanoNat.
Require Import Pisnn.Firing Pisnn.Programs Pisnn.Rows.
Import ListNotations.
Open Scope Z_scope.

(* A holder's program: of what arrives (value 0) and its mass (value 1) it makes the sum (value 2), and nothing else.
   *)
Definition only_adds (program : list instruction) : bool :=
  match program with
  | [Do (Add (Value a) (Value b))] => (Nat.eqb a 0 && Nat.eqb b 1) || (Nat.eqb a 1 && Nat.eqb b 0)
  | _ => false
  end.
Theorem only_adds_sound : forall program arrival mass, only_adds program = true ->
  nth 2 (run program [arrival; mass]) 0 = mass + arrival.
Proof.
  intros [|[[[a|] [b|]| | | | | | | | | | | | | | |]| |] [|]] arrival mass H; try discriminate H.
  simpl in H. apply orb_true_iff in H as [H|H]; apply andb_true_iff in H as [A B];
    apply Nat.eqb_eq in A; apply Nat.eqb_eq in B; subst; simpl; lia.
Qed.

(* The route: a row of weights over packets for each holder, the two ends of each packet (source, target), and to
   which joined set of holders each holder belongs. *)
Definition at_end (h n : nat) : Z := if Nat.eqb h n then 1 else 0.
Definition leaves_and_enters (rows : list row) (c : nat) (ends : nat * nat) : bool :=
  forallb (fun h => weight (nth h rows []) c =? at_end h (snd ends) - at_end h (fst ends)) (seq 0 (length rows)).
Definition joins (rows : list row) (sets : list nat) (ends : nat * nat) : bool :=
  Nat.ltb (fst ends) (length rows) && Nat.ltb (snd ends) (length rows)
  && Nat.eqb (nth (fst ends) sets 0%nat) (nth (snd ends) sets 0%nat).
Fixpoint numbered {A} (n : nat) (l : list A) : list (nat * A) :=
  match l with [] => [] | x :: t => (n, x) :: numbered (S n) t end.
Definition routed (rows : list row) (ends : list (nat * nat)) (sets : list nat) : bool :=
  forallb (fun r => forallb (fun e => Nat.ltb (snd e) (length ends)) r) rows
  && forallb (fun e => leaves_and_enters rows (fst e) (snd e) && joins rows sets (snd e)) (numbered 0 ends).

Definition in_set (sets : list nat) (s h : nat) : Z := if Nat.eqb (nth h sets 0%nat) s then 1 else 0.

Lemma numbered_nth : forall A (l : list A) n k d, (k < length l)%nat -> In ((n + k)%nat, nth k l d) (numbered n l).
Proof.
  induction l as [|x t IH]; intros n k d L; simpl in *; [lia|]. destruct k as [|k].
  - left. now rewrite Nat.add_0_r.
  - right. replace (n + S k)%nat with (S n + k)%nat by lia. apply IH. lia.
Qed.
Lemma total_at_end : forall n g e, (e < n)%nat -> total n (fun h => g h * at_end h e) = g e.
Proof.
  intros n g e L. rewrite <- (total_single n e g L). apply total_ext. intros k _. unfold at_end.
  rewrite (Nat.eqb_sym k e). destruct (Nat.eqb e k); lia.
Qed.

(* What the packets carry into a joined set of holders adds up to nothing, whatever the packets are. *)
Theorem nothing_enters : forall rows ends sets s (packets : nat -> Z), routed rows ends sets = true ->
  total (length rows) (fun h => in_set sets s h * dot packets (nth h rows [])) = 0.
Proof.
  intros rows ends sets s packets R. apply andb_true_iff in R as [B R]. rewrite forallb_forall in B, R.
  rewrite (total_ext _ _ (fun h => total (length ends) (fun c =>
    in_set sets s h * (weight (nth h rows []) c * packets c)))).
  2:{ intros h L. rewrite (dot_by_weight (length ends)), total_scale; [reflexivity|]. intros e I.
      specialize (B _ (nth_In rows [] L)). rewrite forallb_forall in B. specialize (B e I).
        now apply Nat.ltb_lt in B. }
  rewrite total_swap. rewrite <- (total_zero (length ends)). apply total_ext. intros c L.
  pose proof (R _ (numbered_nth _ ends 0 c (0%nat, 0%nat) L)) as H. cbn [fst snd plus] in H.
  destruct (nth c ends (0%nat, 0%nat)) as [source target]. apply andb_true_iff in H as [W J].
  unfold joins in J. cbn [fst snd] in J. apply andb_true_iff in J as [J E]. apply andb_true_iff in J as [S T].
  apply Nat.ltb_lt in S. apply Nat.ltb_lt in T. apply Nat.eqb_eq in E. unfold leaves_and_enters in W.
  rewrite forallb_forall in W. cbn [fst snd] in W.
  rewrite (total_ext _ _ (fun h =>
    packets c * (in_set sets s h * at_end h target) + - packets c * (in_set sets s h * at_end h source))).
  2:{ intros h Lh. assert (I : In h (seq 0 (length rows))) by (apply in_seq; lia). specialize (W h I).
      apply Z.eqb_eq in W. rewrite W. lia. }
  rewrite total_add, !total_scale, !total_at_end by assumption. unfold in_set. rewrite E. lia.
Qed.

(* One PDE step of the holders, and any number of them. *)
Definition moved_masses (rows : list row) (masses packets : nat -> Z) : nat -> Z :=
  fun h => masses h + dot packets (nth h rows []).
Fixpoint masses_after (rows : list row) (masses : nat -> Z) (packets : list (nat -> Z)) : nat -> Z :=
  match packets with [] => masses | k :: later => masses_after rows (moved_masses rows masses k) later end.
Definition sum_in (rows : list row) (sets : list nat) (s : nat) (masses : nat -> Z) : Z :=
  total (length rows) (fun h => in_set sets s h * masses h).

(* The sentence that the project stands on: the packets of any number of steps are any integers, so nothing that
   computes them can lose a quantum; each joined set of holders keeps its sum. *)
Theorem conserves : forall rows ends sets packets masses s, routed rows ends sets = true ->
  sum_in rows sets s (masses_after rows masses packets) = sum_in rows sets s masses.
Proof.
  intros rows ends sets packets. induction packets as [|k later IH]; intros masses s R; [reflexivity|].
  cbn [masses_after]. rewrite IH by assumption. unfold sum_in, moved_masses.
  rewrite (total_ext _ _ (fun h => in_set sets s h * masses h + in_set sets s h * dot k (nth h rows []))) by
    (intros; lia).
  rewrite total_add, (nothing_enters rows ends sets s k R). lia.
Qed.

(* What channels have not fired, on the same route, is a low limb of the masses; all low limbs add up to nothing. *)
Theorem low_limbs_sum_to_zero : forall rows ends sets s (residues : nat -> Z), routed rows ends sets = true ->
  total (length rows) (fun h => in_set sets s h * dot residues (nth h rows [])) = 0.
Proof. exact nothing_enters. Qed.

(* With its low limb, a holder's mass changes by what its channels' currents say, without any rounding. *)
Theorem both_limbs_follow_the_currents : forall F r (residues currents : nat -> Z), 1 <= F ->
  let potential c := residues c + currents c in
  2 ^ F * dot (fun c => packet F (potential c)) r + dot (fun c => rest F (potential c)) r - dot residues r = dot
    currents r.
Proof.
  intros F r residues currents H potential. destruct (theta_half F H) as [E _].
  induction r as [|[w c] t IH]; cbn [dot fold_right fst snd]; [lia|]. fold (dot residues t) (dot currents t).
  fold (dot (fun c => packet F (potential c)) t) (dot (fun c => rest F (potential c)) t).
  rewrite rest_mul, <- E by assumption. unfold potential in *. lia.
Qed.
