using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>Makes what the reference's Trainer.load reads: step, model, opt, ema, scaler and version.</summary>
/// <remarks>denoising-diffusion-pytorch 2.3.1, Trainer.save and GaussianDiffusion's buffers; ema-pytorch 0.7.9. The options lie beside
/// them under a name that Trainer.load does not look at.</remarks>
internal static class TrainerMap
{
    private const string Version = "2.3.1";

    /// <summary>The object to save.</summary>
    /// <param name="source">The network.</param>
    /// <param name="options">Everything that decides the run.</param>
    /// <param name="copies">Describes the tensors.</param>
    public static SavedDictionary Object(UnetSource source, RunOptions options, TensorCopies copies)
    {
        var diffusion = new GaussianDiffusion(options.Diffusion);
        var online = Model(source, diffusion, copies, averaged: false);
        var average = Model(source, diffusion, copies, averaged: true);
        var ema = new SavedDictionary(ordered: true)
        {
            ["initted"] = TensorSource.Bytes("initted", ElementType.Bool, [], new byte[] { 1 }),
            ["step"] = TensorSource.Integers("step", [], new[] { source.EmaUpdates }),
        };
        // The same sources again: the copy shares the storages of the model, as it does in the reference's files.
        ema.Items.AddRange(online.Items.Select(item => ((object)$"online_model.{item.Key}", item.Value)));
        ema.Items.AddRange(average.Items.Select(item => ((object)$"ema_model.{item.Key}", item.Value)));
        return new SavedDictionary
        {
            ["step"] = source.Step,
            ["model"] = online,
            ["opt"] = Optimiser(source, options.Trainer, copies),
            ["ema"] = ema,
            ["scaler"] = null,
            ["version"] = Version,
            [UnetSource.OptionsName] = options.Write(),
        };
    }

    private static SavedDictionary Model(UnetSource source, GaussianDiffusion diffusion, TensorCopies copies, bool averaged)
    {
        var model = new SavedDictionary(ordered: true);
        foreach (var (name, values) in Buffers(diffusion))
            model[name] = TensorSource.Singles(name, [values.Length], values);
        foreach (var slot in source.Layout.Slots)
            model[$"model.{slot.Name}"] = copies.Of(source.Weight(slot, averaged), slot.Name);
        return model;
    }

    /// <summary>The process under the reference's names, in its order.</summary>
    public static IEnumerable<(string Name, ReadOnlyMemory<float> Values)> Buffers(GaussianDiffusion diffusion)
    {
        var schedule = diffusion.Schedule;
        return
        [
            ("betas", schedule.Betas),
            ("alphas_cumprod", schedule.AlphaBars),
            ("alphas_cumprod_prev", schedule.PreviousAlphaBars),
            ("sqrt_alphas_cumprod", schedule.SqrtAlphaBars),
            ("sqrt_one_minus_alphas_cumprod", schedule.SqrtOneMinusAlphaBars),
            ("log_one_minus_alphas_cumprod", schedule.LogOneMinusAlphaBars),
            ("sqrt_recip_alphas_cumprod", schedule.SqrtReciprocalAlphaBars),
            ("sqrt_recipm1_alphas_cumprod", schedule.SqrtReciprocalAlphaBarsMinusOne),
            ("posterior_variance", schedule.PosteriorVariances),
            ("posterior_log_variance_clipped", schedule.PosteriorLogVariances),
            ("posterior_mean_coef1", schedule.PosteriorImageCoefficients),
            ("posterior_mean_coef2", schedule.PosteriorStateCoefficients),
            ("loss_weight", diffusion.LossWeights),
        ];
    }

    private static SavedDictionary Optimiser(UnetSource source, TrainerOptions options, TensorCopies copies)
    {
        var state = new SavedDictionary();
        if (source.HasMoments)
        {
            float steps = source.AdamSteps;
            var firsts = CheckpointMap.Moments(source, CheckpointPart.FirstMoment);
            foreach (var (first, second) in firsts.Zip(CheckpointMap.Moments(source, CheckpointPart.SecondMoment)))
            {
                state[first.Index] = new SavedDictionary
                {
                    ["step"] = TensorSource.Singles("step", [], new[] { steps }),
                    ["exp_avg"] = copies.Of(first.Tensor, "exp_avg", keep: true),
                    ["exp_avg_sq"] = copies.Of(second.Tensor, "exp_avg_sq", keep: true),
                };
            }
        }
        var group = new SavedDictionary
        {
            ["lr"] = options.TrainLr,
            ["betas"] = new object?[] { options.AdamBetas[0], options.AdamBetas[1] },
            ["eps"] = 1e-8,
            ["weight_decay"] = 0,
            ["amsgrad"] = false,
            ["maximize"] = false,
            ["foreach"] = null,
            ["capturable"] = false,
            ["differentiable"] = false,
            ["fused"] = null,
            ["params"] = Enumerable.Range(0, source.Layout.Slots.Count).Select(i => (object?)i).ToList(),
        };
        return new SavedDictionary { ["state"] = state, ["param_groups"] = new List<object?> { group } };
    }
}
