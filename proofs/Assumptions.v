(* What all theorems rest on: nothing, if the answer is that this is closed under the global context. *)
Require Import Pisnn.Firing Pisnn.Programs Pisnn.Spans Pisnn.Analysis Pisnn.Rows Pisnn.Conservation Pisnn.Walls
  Pisnn.Limiter Pisnn.Graphs Pisnn.Artifact.

Definition every_theorem :=
  (packet_is_odd, rest_is_odd, rest_within_half_theta, packet_is_monotone, packets_telescope, add_sound, sub_sound,
   neg_sound, abs_sound, min_sound, max_sound, shl_sound, asr_sound, mul_shr_sound, copysign_sound, lt_sound,
   ge_sound, eq_sound, select_sound, table_sound, packet_sound, rest_sound, unshifted_sound, analyse_sound, row_sound,
   partial_sound, merged_sum, shifted_sum, slope_sound, only_adds_sound, conserves, low_limbs_sum_to_zero,
   both_limbs_follow_the_currents, folded_sound, parabola_is_exact, kept_is_enough, floor_is_kept, ceiling_is_kept,
   bounds_hold, accepted_conserves, accepted_bounds_hold, accepted_widths_hold, rest_is_bounded, nothing_enters,
   fold_sound).
Print Assumptions every_theorem.
